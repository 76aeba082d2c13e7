"""Tests of cliqa.api.run_images."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cliqa
from cliqa.utils.errors import CheckpointError, DatasetError


def test_the_images_are_those_of_the_predictions(tiny_run: Path, tiny_data: Path) -> None:
    found = cliqa.results(tiny_run)
    rows, images = found.predictions("b"), found.images()
    for index in (0, len(rows) - 1):
        name = rows["image"][index]
        expected = np.asarray(Image.open(tiny_data / "b" / name).convert("RGB"))
        assert np.array_equal(images.read("b", index, name), expected)


@pytest.mark.parametrize(("index", "name"), [(0, "other.png"), (-1, "b00.png"), (999, "b00.png")])
def test_an_image_that_is_another_now_is_not_shown(tiny_run: Path, index: int, name: str) -> None:
    with pytest.raises(DatasetError, match=f"b: its test images have changed .*'{name}'"):
        cliqa.results(tiny_run).images().read("b", index, name)


def test_what_is_missing_is_told(tiny_run: Path, tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    found = cliqa.results(tmp_path / "run")
    images = found.images()
    name = found.predictions("a")["image"][0]
    file = tiny_data / "a" / name
    images.read("a", 0, name)
    file.rename(tmp_path / "kept.png")
    try:
        with pytest.raises(DatasetError, match=f"{name}.*no such|{name}: "):
            images.read("a", 0, name)
    finally:
        (tmp_path / "kept.png").rename(file)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "last_checkpoint").unlink()
    with pytest.raises(CheckpointError):
        found.images()
