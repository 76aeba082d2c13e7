"""Inputs with one class each: views share what they can, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.utils.errors import DatasetError

NAMES = ("cat", "dog", "eel")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """Return four images of the levels 0, 50, 100 and 150."""
    found = [tmp_path / f"{k}.png" for k in range(4)]
    for k, path in enumerate(found):
        Image.new("RGB", (5, 4), (50 * k,) * 3).save(path)
    return [str(path) for path in found]


def in_memory(kind: str) -> ClassDataset:
    inputs = {
        "images": torch.arange(4, dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 1, 3, 2),
        "features": torch.arange(8, dtype=torch.float32).view(4, 2),
    }[kind]
    return ClassDataset(inputs, [0, 1, 2, 1], NAMES, ["a", "b", "c", "d"])


def test_files_are_read_when_asked_for(paths: list[str]) -> None:
    data = ClassDataset(ImageFiles(paths), [0, 1, 2, 1], NAMES, paths)
    image, target = data[2]
    assert image.shape == (3, 4, 5)
    assert image.unique().tolist() == [100]
    assert (target, type(target)) == (2, int)
    Path(paths[2]).unlink()
    with pytest.raises(DatasetError, match=r"2\.png: no such image file"):
        data[2]


def test_an_unreadable_file_is_named_with_its_list(paths: list[str]) -> None:
    Path(paths[1]).write_bytes(b"no image")
    files = ImageFiles(paths, sources=[f"all.txt, line {k}" for k in range(1, 5)])
    with pytest.raises(
        DatasetError, match=r"1\.png: cannot be decoded.*\(listed in all\.txt, line"
    ):
        files.select([3, 1])[1]
    with pytest.raises(DatasetError, match=r"line 2\)$"):
        files[1]


@pytest.mark.parametrize("kind", ["images", "features"])
def test_a_view_keeps_inputs_classes_and_keys_together(kind: str) -> None:
    data = in_memory(kind)
    view = data.select(np.array([3, 0, 3])).select([1, 2])
    assert view.keys == ("a", "d")
    assert view.targets.tolist() == [0, 1]
    assert view.class_names == NAMES
    assert torch.equal(view[1][0], data[3][0])
    assert view.inputs.dtype == data.inputs.dtype  # type: ignore[union-attr]  # tensors, both
    assert len(view.select([])) == 0
    with pytest.raises(IndexError):
        data.select([4])


def test_a_view_of_files(paths: list[str]) -> None:
    data = ClassDataset(ImageFiles(paths), [0, 1, 2, 1], NAMES, list("abcd"))
    view = data.select(iter([2, 1]))
    assert view.keys == ("c", "b")
    assert [int(image[0, 0, 0]) for image, _ in (view[0], view[1])] == [100, 50]
    with pytest.raises(IndexError):
        data.select([4])


def test_the_kind_shows() -> None:
    assert not in_memory("images").has_features
    assert in_memory("features").has_features
    assert repr(in_memory("images")) == "ClassDataset(4 images of 3 classes)"
    assert repr(in_memory("features")) == "ClassDataset(4 feature vectors of 3 classes)"


def test_different_lengths_are_refused() -> None:
    with pytest.raises(DatasetError, match="4 inputs, 3 classes and 4 keys: a data set needs as"):
        ClassDataset(torch.zeros(4, 2), [0, 1, 2], NAMES, list("abcd"))


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_class_that_does_not_exist_is_named(wrong: int) -> None:
    with pytest.raises(DatasetError, match=f"^b: class {wrong} does not exist; .* 3 classes, 0..2"):
        ClassDataset(torch.zeros(3, 2), [0, wrong, 2], NAMES, list("abc"))
