"""Nearest class means over a stream equal the means of all its data, in whatever order."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from avalanche.benchmarks import benchmark_from_datasets, with_classes_timeline
from avalanche.training.plugins import EvaluationPlugin

from cliqa.benchmarks.clear import CLEAR
from cliqa.engine.build import build
from cliqa.models.build import build_model
from cliqa.training.supervised.nearest_class_mean import NearestClassMean
from cliqa.utils.errors import ConfigError

Config = dict[str, Any]
Run = Callable[..., Path]


@pytest.fixture
def config(features_config: Config) -> Config:
    head = {"type": "PrototypeHead", "num_classes": 3, "in_channels": 6}
    features_config["model"]["head"] = head
    features_config["cl_strategy"] |= {"type": "NearestClassMean", "train_epochs": 1}
    features_config["cl_strategy"].pop("mem_size")
    return features_config


def test_final_accuracies_are_those_of_the_means_computed_directly(
    config: Config, run_config: Run, clear_root: Path
) -> None:
    folder = run_config(config)
    found = json.loads((folder / "results.json").read_text())["matrix"]["accuracy"]
    stream = CLEAR(clear_root, evaluation_protocol="iid", seed=0, feature_type="toy")
    unit, classes = [], []
    for t, name in enumerate(stream.names):
        train = stream.sources[name, "train"]
        unit.append(train.inputs.double().numpy())  # type: ignore[union-attr]
        unit[-1] /= np.linalg.norm(unit[-1], axis=1, keepdims=True)
        classes.append(train.targets)
        seen, labels = np.concatenate(unit), np.concatenate(classes)
        means = np.stack([seen[labels == k].mean(0) for k in range(3)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        for k, other in enumerate(stream.names):
            test = stream.sources[other, "test"]
            said = (test.inputs.double().numpy() @ means.T).argmax(1)  # type: ignore[union-attr]
            assert found[t][k] == pytest.approx(np.mean(said == test.targets))


def test_the_order_of_the_stream_does_not_matter_in_the_end(
    config: Config, run_config: Run
) -> None:
    heads = []
    for name, batch_size in (("one", 3), ("two", 20)):
        config["cl_strategy"]["train_mb_size"] = batch_size
        state = torch.load(run_config(config, name) / "checkpoints" / "last.pth", weights_only=True)
        model = state["strategy"]["model"]
        heads.append((model["head.sums"], model["head.counts"]))
    assert torch.allclose(heads[0][0], heads[1][0], atol=1e-12)
    assert torch.equal(heads[0][1], heads[1][1])
    assert heads[0][1].sum() == 3 * 3 * 7  # every training sample once


def test_a_script_without_an_optimizer_finds_the_same_means(
    config: Config, assert_same: Callable[..., None]
) -> None:
    parts = build(config, torch.device("cpu"))
    for index, step in enumerate(parts.strategy.steps(parts.benchmark.train_stream)):
        parts.strategy.train_step(index, step)
    data = [experience.dataset for experience in parts.benchmark.train_stream]
    stream = with_classes_timeline(benchmark_from_datasets(train=data)).train_stream
    script = NearestClassMean(
        model=build_model(config["model"]),
        eval_mb_size=config["cl_strategy"]["eval_mb_size"],
        evaluator=EvaluationPlugin(loggers=[]),
    )
    script.train(stream)
    assert_same(script.model.state_dict(), parts.model.state_dict())


def test_images_go_through_the_evaluation_transform_and_the_network_stays_as_it_is(
    clear_config: Config, run_config: Run
) -> None:
    clear_config["model"]["head"] = {"type": "PrototypeHead", "num_classes": 3, "in_channels": 8}
    clear_config["cl_strategy"] |= {"type": "NearestClassMean", "train_epochs": 1}
    clear_config["cl_strategy"].pop("mem_size")
    before = build(clear_config, torch.device("cpu")).model.state_dict()
    states = []
    for flip in (0.0, 1.0):
        clear_config["scenario"]["train_transform"][0]["p"] = flip
        path = run_config(clear_config, f"flip{flip}") / "checkpoints" / "last.pth"
        states.append(torch.load(path, weights_only=True)["strategy"]["model"])
    assert torch.equal(states[0]["head.sums"], states[1]["head.sums"])
    for key, value in before.items():
        if key.startswith("backbone"):
            assert torch.equal(states[0][key], value)


def test_a_model_without_prototypes_is_refused(features_config: Config) -> None:
    features_config["cl_strategy"] |= {"type": "NearestClassMean", "train_epochs": 1}
    features_config["cl_strategy"].pop("mem_size")
    with pytest.raises(ConfigError, match=r"the model needs one PrototypeHead"):
        build(features_config, torch.device("cpu"))


def test_more_than_one_epoch_is_refused(config: Config) -> None:
    config["cl_strategy"]["train_epochs"] = 3
    with pytest.raises(ConfigError, match=r"train_epochs=3: NearestClassMean uses .* Set it to 1"):
        build(config, torch.device("cpu"))


def test_other_strategies_need_something_to_train(config: Config) -> None:
    config["cl_strategy"]["type"] = "Naive"
    with pytest.raises(ConfigError, match=r"nothing to train"):
        build(config, torch.device("cpu"))
