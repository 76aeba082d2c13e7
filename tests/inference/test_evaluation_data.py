"""``test_config.py`` over streams of classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from cliqa.evaluation.records.predictions import load_class_predictions
from cliqa.inference.evaluate import evaluate, evaluation_table
from cliqa.utils.errors import CliqaError, ConfigError

Config = dict[str, Any]
Run = Callable[..., Path]


def again(config: Config, checkpoint: Path, **options: Any) -> dict[str, Any]:
    return evaluate(config, config_file="x.py", checkpoint=checkpoint, device="cpu", **options)


def test_every_checkpoint_gives_its_numbers_again(split_config: Config, run_config: Run) -> None:
    folder = run_config(split_config)
    results = json.loads((folder / "results.json").read_text())
    for t in (0, 4):
        found = again(split_config, folder / "checkpoints" / f"exp_{t}.pth")
        assert found["experiences_learnt"] == t + 1
        for k, name in enumerate(results["datasets"]):
            data = found["datasets"][name]
            for measure in ("accuracy", "accuracy_task_il"):
                assert data["metrics"][measure] == results["matrix"][measure][t][k]
                assert data["metrics"]["interval"][measure] == results["interval"][measure][t][k]
            stored = load_class_predictions(folder, t, name)
            said = [row["prediction"] for row in data["predictions"]]
            assert said == list(stored.classes[stored.logits.argmax(1)])
            sure = softmax(stored.logits.astype(float), axis=1).max(1)
            assert np.allclose([row["probability"] for row in data["predictions"]], sure, atol=1e-5)
            assert [row["image"] for row in data["predictions"]] == list(stored.image)
            truth = [row["target"] for row in data["predictions"]]
            assert truth == list(stored.classes[stored.target])


def test_streaming_is_tested_on_what_lies_ahead_and_says_where_it_was_trained(
    clear_config: Config, run_config: Run, caplog: pytest.LogCaptureFixture
) -> None:
    clear_config["scenario"] |= {"evaluation_protocol": "streaming", "seed": None}
    folder = run_config(clear_config)
    first = folder / "checkpoints" / "exp_0.pth"
    assert list(again(clear_config, first)["datasets"]) == ["bucket-2", "bucket-3"]
    with pytest.raises(ConfigError, match=r"learnt every bucket.*earlier checkpoint"):
        again(clear_config, folder)
    assert "trained on the images" not in caplog.text
    chosen = again(clear_config, first, data_sets=["bucket-1", "bucket-3"])
    assert list(chosen["datasets"]) == ["bucket-1", "bucket-3"]
    assert "the model was trained on the images of bucket-1" in caplog.text


def test_joint_training_has_learnt_everything(clear_config: Config, run_config: Run) -> None:
    clear_config["cl_strategy"]["type"] = "JointTraining"
    clear_config["cl_strategy"].pop("mem_size")
    found = again(clear_config, run_config(clear_config))
    assert found["experiences_learnt"] == 3


def test_other_splits(split_config: Config, run_config: Run) -> None:
    split_config["scenario"]["val_fraction"] = 0.25
    split_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(split_config)
    for split, count in (("val", 6), ("train", 18), ("test", 12)):
        found = again(split_config, folder, split=split)
        assert {data["metrics"]["n"] for data in found["datasets"].values()} == {count}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "all"}, r"--split all: a stream of classes has train, val and test"),
        ({"split": "val"}, r"--split val: 0\+1 has no such samples\. Set scenario\.val_fraction"),
        ({"data_sets": ["9+8"]}, r"no experience is called so\. The stream has 0\+1, 2\+3"),
        ({"data_sets": ["EVA=/x"]}, r"no experience is called so\. For other images change"),
    ],
)
def test_mistakes_are_named(
    split_config: Config, run_config: Run, options: Config, message: str
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(split_config)
    with pytest.raises(CliqaError, match=message):
        again(split_config, folder, **options)


def test_a_diverged_model_predicts_nothing(
    split_config: Config, run_config: Run, tmp_path: Path
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(split_config)
    state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
    state["strategy"]["model"]["head.fc.bias"].fill_(float("nan"))
    torch.save(state, tmp_path / "nan.pth")
    options = {"data_sets": ["0+1"], "out": tmp_path / "out.json"}
    data = again(split_config, tmp_path / "nan.pth", **options)["datasets"]["0+1"]
    assert data["metrics"]["accuracy"] is None
    assert "diverged" in data["metrics"]["warnings"][0]
    assert {row["prediction"] for row in data["predictions"]} == {None}
    json.dumps(data, allow_nan=False)


def test_the_table_has_a_line_an_experience() -> None:
    metrics = {"accuracy": 0.5, "accuracy_task_il": 0.75, "n": 7}
    results = {
        "experiences_learnt": 2,
        "protocol": {"targets": "classes"},
        "datasets": {
            "a": {"metrics": {**metrics, "interval": {"accuracy": (0.25, 0.75)}}},
            "b": {"metrics": {"accuracy": None, "n": 7, "interval": {}}},
        },
    }
    lines = evaluation_table(results).splitlines()
    assert lines[-2].split() == ["a", "7", "0.500", "0.250..0.750", "0.750"]
    assert lines[-1].split() == ["b", "7", "n/a", "n/a", "n/a"]
