"""Classifier alignment: what is stored of a class, what the head learns from it, and mistakes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cliqa.engine.build import build
from cliqa.training.plugins.rehearsal.alignment import RIDGE, ClassifierAlignment
from cliqa.utils.errors import ConfigError, ModelError


def built(config: dict[str, Any], **arguments: Any) -> Any:
    """Return the parts of a run with the plugin, without its memory of samples."""
    section = config["cl_strategy"]
    section.pop("mem_size", None)
    section.update(type="ClassifierAlignment", train_epochs=1, **arguments)
    return build(config, torch.device("cpu"))


def learn(parts: Any, count: int) -> None:
    for index in range(count):
        parts.strategy.train_step(index, [parts.benchmark.train_stream[index]])


def accuracy(parts: Any, count: int) -> float:
    """Return the mean accuracy over the first experiences' test data."""
    found = []
    for name in parts.benchmark.names[:count]:
        outputs, targets = parts.strategy.predict(parts.benchmark.dataset(name, "test"))
        found.append(float((outputs.argmax(1) == targets).mean()))
    return float(np.mean(found))


def test_means_and_covariances_are_the_classes_own(features_config: dict[str, Any]) -> None:
    parts = built(features_config)
    learn(parts, 1)
    data = parts.benchmark.dataset(parts.benchmark.names[0], "train").eval()
    vectors = np.stack([np.asarray(data[k][0]) for k in range(len(data))])
    labels = np.array([int(data[k][1]) for k in range(len(data))])
    state = parts.strategy.plugins[0].state_dict()
    assert sorted(state["means"]) == [0, 1, 2]
    for label in range(3):
        own = vectors[labels == label]
        assert np.allclose(state["means"][label], own.mean(0), atol=1e-6)
        expected = np.cov(own.T) + RIDGE * np.eye(6)
        assert np.allclose(state["covariances"][label], expected, atol=1e-6)
    memory = sum(t.numel() for part in state.values() for t in part.values())
    assert memory == 3 * (6 + 36)  # whatever the number of samples


def test_a_head_over_fixed_features_forgets_no_class(split_config: dict[str, Any]) -> None:
    optimizer = split_config["cl_strategy"]["optimizer"]
    optimizer["paramwise"] = [{"match": "backbone", "lr_mult": 1e-3}]
    split_config["model"]["backbone"]["channels"] = [16, 32]
    split_config["model"]["head"]["in_channels"] = 32
    reached = []
    for epochs in (0, 20):
        config = copy.deepcopy(split_config)
        parts = built(config, epochs=epochs, lr=0.5)
        learn(parts, 3)
        reached.append(accuracy(parts, 3))
    assert reached[0] < 0.4  # the newest two of six classes
    assert reached[1] > reached[0] + 0.1


def test_without_epochs_it_is_fine_tuning_to_the_bit(
    split_config: dict[str, Any], assert_same: Callable[..., None]
) -> None:
    config = copy.deepcopy(split_config)
    parts = built(config, epochs=0)
    split_config["cl_strategy"].update(type="Naive", train_epochs=1)
    split_config["cl_strategy"].pop("mem_size")
    naive = build(split_config, torch.device("cpu"))
    for one in (parts, naive):
        learn(one, 2)
    assert_same(parts.model.state_dict(), naive.model.state_dict())


def test_only_the_head_moves(split_config: dict[str, Any]) -> None:
    parts = built(split_config)
    learn(parts, 1)
    before = copy.deepcopy(parts.model.state_dict())
    plugin = parts.strategy.plugins[0]
    plugin._align(parts.strategy)
    moved = {n for n, v in parts.model.state_dict().items() if not torch.equal(v, before[n])}
    assert moved
    assert all(name.startswith("head.") for name in moved)


@pytest.mark.slow
def test_resume_at_any_epoch_is_bit_identical(
    split_config: dict[str, Any], assert_resumable: Callable[..., None]
) -> None:
    benchmark = built(copy.deepcopy(split_config)).benchmark
    assert_resumable(lambda: built(copy.deepcopy(split_config)).strategy, benchmark, 1)


def test_scores_are_refused(make_strategy: Callable[..., Any], tiny_stream: Any) -> None:
    strategy = make_strategy([ClassifierAlignment()])
    with pytest.raises(ConfigError, match="ClassifierAlignment: draws features of classes"):
        strategy.train_step(0, [tiny_stream.train_stream[0]])


def test_parts_that_are_no_head_are_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 1), nn.Flatten())
    strategy: Any = type("Holder", (), {"model": model, "plugins": []})()
    with pytest.raises(
        ModelError, match=r"the Sequential has no part 'head'.*one of '0', '1', '2'"
    ):
        ClassifierAlignment().before_training_exp(strategy)
    strategy.rows_of = lambda function: function(torch.zeros(4, 1, 2, 2))
    with pytest.raises(ModelError, match="the head's input is no feature vector"):
        ClassifierAlignment(head="1").after_training_exp(strategy)
    strategy.rows_of = lambda function: function(torch.zeros(4, 5, 1, 2, 2))
    with pytest.raises(ModelError, match="needs evaluation images of one size, not crops"):
        ClassifierAlignment(head="1").after_training_exp(strategy)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": -1}, "epochs must be an integer >= 0, got -1"),
        ({"samples": 0}, "samples must be an integer >= 1, got 0"),
        ({"lr": 0.0}, r"lr must be above 0, got 0\.0"),
        ({"logit_norm": 0.0}, r"logit_norm must be above 0, got 0\.0"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"ClassifierAlignment: {message}"):
        ClassifierAlignment(**arguments)
