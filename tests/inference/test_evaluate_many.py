"""Checkpoints by name, and where their results go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.inference.candidate import Request
from cliqa.inference.evaluate_many import evaluate_checkpoints, labels_of, open_checkpoint
from cliqa.transforms.protocol import parse_protocol
from cliqa.utils.errors import CheckpointError, ConfigError

CPU = torch.device("cpu")


def test_labels_are_short_and_differ() -> None:
    def label(*names: str) -> list[str]:
        return labels_of([Path(name) for name in names])

    assert label("w/a/checkpoints/last.pth", "w/b/checkpoints/exp_1.pth") == ["a", "b-exp_1"]
    assert label("w/best.pth") == ["best"]
    found = label("v/a/checkpoints/last.pth", "w/a/checkpoints/last.pth", "w/x.pth")
    assert found == ["v-a", "w-a", "w-x"]


def test_one_file_for_one_checkpoint_and_each_checkpoint_once(
    tiny_run: Path, tmp_path: Path
) -> None:
    first = tiny_run / "checkpoints" / "exp_0.pth"
    with pytest.raises(ConfigError, match=r"there are 2 checkpoints, and one file holds one"):
        evaluate_checkpoints([first, tiny_run], Request(), CPU, tmp_path / "x.json")
    with pytest.raises(CheckpointError, match=r"last\.pth: given twice"):
        evaluate_checkpoints([tiny_run, tiny_run / "checkpoints" / "last.pth"], Request(), CPU)


def test_weights_files_need_not_be_there_any_more(tiny_run: Path, tmp_path: Path) -> None:
    state = torch.load(tiny_run / "checkpoints" / "last.pth", weights_only=True)
    state["config"]["load_from"] = "gone.pth"
    torch.save(state, tmp_path / "moved.pth")
    candidate = open_checkpoint(tmp_path / "moved.pth", Request(data_sets=["a"]), CPU)
    weights = candidate.strategy.model.state_dict()
    assert all(torch.equal(weights[key], state["strategy"]["model"][key]) for key in weights)


def test_features_are_not_cropped(
    features_config: dict[str, Any], run_config: Callable[..., Path], tmp_path: Path
) -> None:
    folder = run_config(features_config)
    results, comparisons = evaluate_checkpoints([folder], Request(), CPU, tmp_path / "e")
    assert results["run"]["protocol"]["preprocessing"] == []
    assert comparisons == []
    request = Request(protocol=parse_protocol("grid:2x2"))
    with pytest.raises(ConfigError, match="need images, but this model takes features"):
        evaluate_checkpoints([folder], request, CPU, tmp_path / "e")
