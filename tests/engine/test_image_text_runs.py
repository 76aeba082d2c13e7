"""Runs of a model of images and texts, from config to results, predictions and a resume."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.datasets.classes.fashion_mnist import CLASS_NAMES
from cliqa.engine.build import build
from cliqa.engine.work_dir.checkpoints import load_run, model_of
from cliqa.evaluation.records.predictions import load_class_predictions
from cliqa.inference.evaluate import evaluate, evaluate_checkpoints
from cliqa.inference.evaluation_request import EvalRequest
from cliqa.inference.predict import Predictor
from cliqa.models.lora.adapters import lora_layers
from cliqa.studies.planned_run import PlannedRun, Replicate
from cliqa.training.importance.per_sample import PerSampleGradients
from cliqa.utils.errors import CheckpointError, ConfigError

Config = dict[str, Any]
Run = Callable[..., Path]
Same = Callable[[Any, Any], None]


def text_model(channels: int, texts: str) -> Config:
    """Return a small model of images and texts."""
    return {
        "type": "ImageTextModel",
        "backbone": {"type": "SmallConvNet", "in_channels": channels, "channels": [8, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
        "texts": texts,
        "in_channels": 8,
        "width": 16,
    }


@pytest.fixture
def own_texts(tmp_path: Path) -> Path:
    """Return a user's own file of texts."""
    path = tmp_path / "own.yaml"
    path.write_text("classes:\n" + "".join(f"  {name}:\n" for name in CLASS_NAMES))
    return path


@pytest.fixture
def class_config(split_config: Config, own_texts: Path) -> Config:
    """Return a config over ten classes with a user's own texts."""
    split_config["model"] = text_model(1, str(own_texts))
    split_config["cl_strategy"] |= {"loss": {"type": "ContrastiveLoss"}, "train_epochs": 1}
    return split_config


@pytest.fixture
def score_config(tiny_config: Config) -> Config:
    """Return a config over scores."""
    tiny_config["model"] = text_model(3, "quality_levels")
    return tiny_config


def matrix(folder: Path, measure: str) -> Any:
    return json.loads((folder / "results.json").read_text())["matrix"][measure]


def test_a_checkpoint_needs_the_texts_file_no_more(
    class_config: Config, run_config: Run, own_texts: Path
) -> None:
    folder = run_config(class_config)
    own_texts.unlink()
    results, _ = evaluate_checkpoints([str(folder)], EvalRequest(), torch.device("cpu"))
    stored = load_class_predictions(folder, 4, "8+9")
    found = next(iter(results.values()))["datasets"]
    assert found["8+9"]["metrics"]["accuracy"] == matrix(folder, "accuracy")[4][4]
    predictor = Predictor(folder, torch.device("cpu"))
    assert predictor.classes == list(CLASS_NAMES)
    assert stored.logits.shape[1] == 10


def test_scores_are_measured_and_predicted(
    score_config: Config, run_config: Run, tiny_data: Path
) -> None:
    folder = run_config(score_config)
    again = evaluate(score_config, config_file="x.py", checkpoint=folder, device="cpu")
    assert again["datasets"]["c"]["metrics"]["srcc"] == matrix(folder, "srcc")[2][2]
    images = sorted((tiny_data / "c").glob("*.png"))[:3]
    said = list(Predictor(folder, torch.device("cpu")).predict(images))
    assert all(row.score is not None and 0 <= row.score <= 1 for row in said)


def test_a_run_that_was_stopped_ends_in_the_same_bits(
    class_config: Config, run_config: Run, assert_same: Same
) -> None:
    whole = run_config(class_config, "whole")
    rest = run_config(class_config, "rest", resume=str(whole / "checkpoints" / "exp_1.pth"))
    one, other = (load_run(f / "checkpoints" / "last.pth")["strategy"] for f in (whole, rest))
    assert_same(one["model"], other["model"])
    assert matrix(whole, "accuracy") == matrix(rest, "accuracy")


def test_texts_that_have_changed_are_not_gone_on_with(
    class_config: Config, run_config: Run, own_texts: Path
) -> None:
    folder = run_config(class_config)
    metrics = (folder / "metrics.jsonl").read_text()
    run_config(class_config, resume="auto")  # the same texts may go on
    text = own_texts.read_text()
    own_texts.write_text(text.replace("  Bag:\n", "  Bag: handbag\n"))
    with pytest.raises(CheckpointError, match=r"changed: Bag\.\n  Bag, then: Bag\n  Bag, now:  ha"):
        run_config(class_config, resume="auto")
    own_texts.write_text("# a remark\n" + text)
    run_config(class_config, resume="auto")
    config = {**class_config, "amp": False}
    study = PlannedRun(Path("x.py"), Replicate(config["seed"]), (), folder, config)
    assert study.is_finished()
    own_texts.write_text("templates: ['a {}']\n" + text)
    with pytest.raises(CheckpointError, match=r"Sneaker, \.\.\.\.\n.*\n.* now:  a T-shirt"):
        study.is_finished()
    own_texts.unlink()
    with pytest.raises(ConfigError, match="no such file of texts"):
        run_config(class_config, resume="auto")
    assert (folder / "metrics.jsonl").read_text() == metrics


STRATEGIES: dict[str, Config] = {
    "EWC": {"type": "EWC"},
    "LoRA of both towers": {"type": "LoRA", "rank": 2},
    "LoRA of the images": {"type": "LoRA", "rank": 2, "targets": ["backbone"]},
    "PackNet": {"type": "PackNet", "inference": "oracle"},
    "LwF": {"type": "LwF"},
    "DER": {"type": "DER", "mem_size": 10},
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_strategies_train_both_towers(name: str, class_config: Config, run_config: Run) -> None:
    config = copy.deepcopy(class_config)
    config["cl_strategy"].pop("mem_size")
    config["cl_strategy"] |= STRATEGIES[name]
    config["scenario"]["n_experiences"] = 2
    folder = run_config(config)
    again = evaluate(config, config_file="x.py", checkpoint=folder, device="cpu")
    last = [data["metrics"]["accuracy"] for data in again["datasets"].values()]
    assert last == matrix(folder, "accuracy")[-1]
    adapted = lora_layers(model_of(load_run(folder / "checkpoints" / "last.pth")))
    if name.startswith("LoRA"):
        of_texts = any(layer.startswith("text_encoder.") for layer in adapted)
        assert of_texts == (name == "LoRA of both towers")


def test_single_gradients_are_those_of_one_sample_after_another(class_config: Config) -> None:
    parts = build(class_config, torch.device("cpu"))
    images, targets = torch.rand(6, 1, 28, 28), torch.arange(6)
    sums = []
    for method in (None, "loop"):
        found = PerSampleGradients(parts.model, method=method)
        found.add(lambda out, y: -out.log_softmax(0).gather(0, y[None])[0], images, targets)
        sums.append(found.sums)
    for name, total in sums[1].items():
        assert torch.allclose(sums[0][name], total, rtol=1e-3, atol=1e-6), name


def test_texts_that_do_not_fit_the_stream_are_refused(
    class_config: Config, score_config: Config, own_texts: Path
) -> None:
    class_config["model"]["texts"] = "cifar10"
    with pytest.raises(ConfigError, match=r"texts:  airplane, .*\n  stream: T-shirt/top, Trouser"):
        build(class_config, torch.device("cpu"))
    class_config["model"]["texts"] = "quality_levels"
    with pytest.raises(ConfigError, match="names 'levels', but this stream has classes"):
        build(class_config, torch.device("cpu"))
    score_config["model"]["texts"] = str(own_texts)
    with pytest.raises(ConfigError, match="names 'classes', but this stream has scores"):
        build(score_config, torch.device("cpu"))
