"""Runs whose experiences have views of their own predict as they were evaluated."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.datasets.image_listing import find_images
from cliqa.engine.work_dir.checkpoints import deployed_of, load_run, model_of
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.evaluation.records.results import load_results
from cliqa.inference.predict import Predictor
from cliqa.training.views.gate import GatedViews

Config = dict[str, Any]
Run = Callable[..., Path]

KMEANS = {"name": "kmeans", "centroids": 3, "temperature": 4.0}

METHODS: dict[str, Config] = {
    "packnet": {"type": "PackNet", "norm": "per_task"},
    "norms and heads": {"type": "TaskSpecificParts", "gate": KMEANS},
    "heads": {"type": "MultiHead", "strength": 0.1},
    "lora": {"type": "LoRA", "rank": 2, "mode": "per_task", "norm": "train", "first": "full"},
    "earlier gate": {"type": "TaskSpecificParts", "centroids": 3, "temperature": 4.0},
}


def gated(config: Config, method: str, **more: Any) -> Config:
    """Return a config with a method whose views a gate chooses."""
    config = copy.deepcopy(config)
    config["cl_strategy"].pop("mem_size")
    config["cl_strategy"]["optimizer"]["lr"] = 3e-2  # views that differ
    config["cl_strategy"] |= {**METHODS[method], "inference": "gate", **more}
    return config


@pytest.mark.parametrize(
    "method",
    [
        *("packnet", "lora", "earlier gate"),
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("norms and heads", "heads")
        ),
    ],
)
def test_a_checkpoint_predicts_what_the_run_did(
    method: str, tiny_config: Config, run_config: Run, tiny_data: Path
) -> None:
    folder = run_config(gated(tiny_config, method))
    predictor = Predictor(folder, torch.device("cpu"))
    for name in "abc":
        stored = load_predictions(folder, 2, name)
        said = {s.image.name: s.score for s in predictor.predict(find_images([tiny_data / name]))}
        found = [said[Path(image).name] for image in stored.image]
        assert found == pytest.approx(stored.prediction.tolist(), abs=1e-6)
    state = load_run(folder / "checkpoints" / "last.pth")
    model, network = deployed_of(state)
    assert isinstance(network, GatedViews)
    images = torch.rand(5, 3, 16, 16)
    plain = model_of(state)(images)
    assert torch.equal(model(images), plain)  # the newest view
    assert (network(images) - plain).abs().max() > 1e-3  # and no other
    told = load_results(folder)["gate"]
    assert [len(grid) for grid in told.values()] == [3] * 5
    assert told["own_weight"][0] == [None] * 3  # one view alone
    assert 0 < told["own_weight"][2][0] < 1


def test_without_a_gate_the_newest_view_predicts_and_an_oracles_run_says_so(
    tiny_config: Config, run_config: Run, caplog: pytest.LogCaptureFixture
) -> None:
    config = gated(tiny_config, "norms and heads")
    config["cl_strategy"]["inference"] = "oracle"
    folder = run_config(config)
    for name, told in (("exp_0.pth", 0), ("last.pth", 1)):
        model, network = deployed_of(load_run(folder / "checkpoints" / name))
        assert network is model
        assert caplog.text.count("TaskSpecificParts: the run was evaluated with each") == told
    assert "Train with inference='gate' to use all views" in caplog.text
    caplog.clear()
    state = load_run(folder / "checkpoints" / "last.pth")
    state["config"]["cl_strategy"]["inference"] = "last"
    deployed_of(state)
    assert caplog.text == ""
