"""Runs with adapters, from config to results, predictions and a second evaluation."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.datasets.image_listing import find_images
from cliqa.engine.build import build
from cliqa.engine.work_dir.checkpoints import load_run, model_of
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.inference.evaluate import evaluate
from cliqa.inference.predict import Predictor
from cliqa.models.lora.adapters import lora_layers, merge
from cliqa.utils.checkpoint import load_checkpoint

Config = dict[str, Any]
Run = Callable[..., Path]

MODES: dict[str, Config] = {
    "per_task": {"mode": "per_task", "inference": "oracle", "first": "full"},
    "gate": {"mode": "per_task", "inference": "gate", "norm": "train"},
    "sum": {"mode": "sum", "first": "full", "energy": 0.99},
    "inflora": {"mode": "inflora", "samples": 8},
}


def with_lora(config: Config, **arguments: Any) -> Config:
    """Return a config with `LoRA` in place of its strategy."""
    config = copy.deepcopy(config)
    config["cl_strategy"].pop("mem_size")
    config["cl_strategy"] |= {"type": "LoRA", "rank": 2, "train_epochs": 1, **arguments}
    return config


@pytest.mark.parametrize("mode", MODES)
def test_a_checkpoint_says_the_same_again(mode: str, tiny_config: Config, run_config: Run) -> None:
    config = with_lora(tiny_config, **MODES[mode])
    folder = run_config(config)
    results = json.loads((folder / "results.json").read_text())
    again = evaluate(config, config_file="config/x.py", checkpoint=folder, device="cpu")
    for k, name in enumerate(results["datasets"]):
        assert again["datasets"][name]["metrics"]["srcc"] == results["matrix"]["srcc"][-1][k]
        assert again["datasets"][name]["metrics"]["plcc"] == results["matrix"]["plcc"][-1][k]


def test_a_checkpoint_predicts_what_the_run_did(
    tiny_config: Config, run_config: Run, tiny_data: Path
) -> None:
    config = with_lora(tiny_config, mode="per_task", first="full")
    folder = run_config(config)
    stored = load_predictions(folder, 2, "c")
    predictor = Predictor(folder, torch.device("cpu"))
    assert lora_layers(predictor.model)
    said = {s.image.name: s.score for s in predictor.predict(find_images([tiny_data / "c"]))}
    found = [said[Path(image).name] for image in stored.image]
    assert found == pytest.approx(stored.prediction.tolist(), abs=1e-6)


def test_a_merged_model_is_the_plain_one(tiny_config: Config, run_config: Run) -> None:
    config = with_lora(tiny_config, mode="sum")
    model = model_of(load_run(run_config(config) / "checkpoints" / "last.pth"))
    images = torch.rand(4, 3, 16, 16)
    before = model(images)
    merge(model)
    plain = build(tiny_config, torch.device("cpu")).model.eval()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(plain(images), before)


def test_plain_weights_are_where_a_run_starts(
    tiny_config: Config, tiny_run: Path, run_config: Run
) -> None:
    """``load_from`` a run without adapters; the network's own weights then keep their bits."""
    start = tiny_run / "checkpoints" / "last.pth"
    config = {**with_lora(tiny_config), "load_from": str(start)}
    folder = run_config(config)
    before = load_checkpoint(start)["strategy"]["model"]
    after = load_run(folder / "checkpoints" / "last.pth")["strategy"]["model"]
    assert set(before) < set(after)
    moved = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert moved == {name for name in before if name.startswith("head")}


@pytest.mark.parametrize(
    ("mode", "name"),
    [("per_task", "clear_config"), ("inflora", "features_config"), ("olora", "split_config")],
)
def test_classes_are_learnt_and_a_resumed_run_ends_with_the_same_bits(
    mode: str,
    name: str,
    run_config: Run,
    request: pytest.FixtureRequest,
    assert_same: Callable[..., None],
) -> None:
    config = with_lora(request.getfixturevalue(name), mode=mode, first="full", train_epochs=2)
    if name == "features_config":
        config["model"]["hidden"] = [8]
    config["checkpoint_config"] = {"interval": 1}
    whole = run_config(config, "whole")
    final = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)
    places = sorted((whole / "checkpoints").glob("exp_*.pth"))
    for place in (places[4], places[-6]):  # inside an experience, and after one
        folder = run_config(copy.deepcopy(config), f"from-{place.stem}", resume=str(place))
        state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
        for key in ("strategy", "history"):
            assert_same(state[key], final[key])


def test_the_oracle_forgets_nothing_over_buckets(clear_config: Config, run_config: Run) -> None:
    config = with_lora(clear_config, mode="per_task", first="full", inference="oracle")
    results = json.loads((run_config(config) / "results.json").read_text())
    matrix = np.array(results["matrix"]["accuracy"])
    for k in range(3):
        assert len(set(matrix[k:, k])) == 1
