"""Models as prediction needs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.engine.work_dir.checkpoints import load_run, model_of
from cliqa.inference.image_model import CheckpointModel, open_model
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import CheckpointError

CPU = torch.device("cpu")


def test_a_checkpoint_is_a_model_of_scores(tiny_run: Path, tiny_config: dict[str, Any]) -> None:
    model = open_model(tiny_run, CPU)
    assert isinstance(model, CheckpointModel)
    assert (model.names, model.classes, model.channels) == (["a", "b", "c"], [], 3)
    assert model.eval_transform == tiny_config["scenario"]["eval_transform"]
    images = torch.rand(5, 3, 16, 16)
    scores = model(images)
    assert scores.shape == (5,)
    assert not scores.requires_grad
    plain = model_of(load_run(tiny_run / "checkpoints" / "last.pth"))
    assert torch.equal(scores, plain(images).detach())


def test_a_classifier_of_grey_images(
    split_config: dict[str, Any], run_config: Callable[..., Path]
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    model = open_model(run_config(split_config), CPU)
    assert (len(model.classes), model.channels) == (10, 1)
    assert model(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_no_model_of_images(
    features_config: dict[str, Any], run_config: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match="work_dir without a checkpoint"):
        open_model(tmp_path, CPU)
    with pytest.raises(CheckpointError, match=r"trained on the features 'toy' and takes no images"):
        open_model(run_config(features_config), CPU)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eval_transform": None}, "its eval_transform must be a list of steps"),
        ({"eval_transform": True}, "its eval_transform must be a list of steps"),
        ({"eval_transform": ["ToTensor"]}, "its eval_transform must be a list of steps"),
        ({"names": [1]}, "its names must be a list of names"),
        ({"classes": "ab"}, "its classes must be a list of names"),
        ({"channels": 4}, "its channels must be 1 or 3"),
    ],
)
def test_a_checkpoint_of_other_parts_is_refused(
    tiny_run: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    state = load_checkpoint(tiny_run / "checkpoints" / "last.pth")
    for key, value in change.items():
        (state["config"]["scenario"] if key == "eval_transform" else state)[key] = value
    save_checkpoint(tmp_path / "x.pth", state)
    with pytest.raises(CheckpointError, match=rf"x\.pth: damaged: {message}\. Use another"):
        open_model(tmp_path / "x.pth", torch.device("cpu"))
