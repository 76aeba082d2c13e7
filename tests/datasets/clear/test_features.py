"""Stored features: what types there are, and what forms of storage are read."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.datasets.clear.features import (
    check_feature_type,
    read_class_features,
    read_features,
)
from cliqa.datasets.clear.metadata import Metadata
from cliqa.utils.errors import ConfigError, DatasetError

FEATURES = torch.tensor([[0.5, 1.0], [2.0, -3.25]])


def test_types_are_the_folders_with_features(copy_of: Callable[[str], Path]) -> None:
    old, new = copy_of("old"), copy_of("new")
    check_feature_type(old, "old", "moco_b0")
    check_feature_type(new, "new", "moco_b0")
    folder = old / "training_folder/features"
    shutil.copytree(folder / "moco_b0", folder / "byol imagenet")
    (folder / "empty").mkdir()
    with pytest.raises(ConfigError, match="'empty'. There are byol imagenet, moco_b0"):
        check_feature_type(old, "old", "empty")
    shutil.rmtree(folder)
    with pytest.raises(ConfigError, match=r"no features 'moco_b0'\. There are none\. Write it"):
        check_feature_type(old, "old", "moco_b0")


@pytest.mark.parametrize(
    "stored",
    [
        FEATURES,
        FEATURES.half(),
        FEATURES.double(),
        list(FEATURES),
        torch.nn.Parameter(FEATURES),
    ],
)
@pytest.mark.parametrize("targets", [[1, 0], (1, 0), torch.tensor([1, 0])])
def test_all_forms_are_read_as_float32(tmp_path: Path, stored: Any, targets: Any) -> None:
    path = tmp_path / "training_folder/features/x/1/all.pth"
    path.parent.mkdir(parents=True)
    torch.save((stored, targets), path)
    found = read_features(tmp_path, "x", "1", (1, 0), "all.txt")
    assert found.dtype == torch.float32
    assert torch.equal(found, FEATURES)
    assert not found.requires_grad


def test_class_files_are_read_in_the_order_of_the_records(old_tree: Path) -> None:
    metadata = Metadata(old_tree)
    matrix = read_class_features(metadata, "moco_b0", "10")
    assert matrix.shape == (24, 3)
    row = metadata.listing("10").images.index("labeled_images/10/bus/10107.jpg")
    assert matrix[row].tolist() == [10, 1, 10107]


def test_numbers_that_are_not_in_the_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "training_folder/features/f/1/all.pth"
    path.parent.mkdir(parents=True)
    wide = torch.zeros(1).expand(4, 10**9)  # 16 gigabytes, of which four bytes are stored
    for value in (wide, torch.eye(4).to_sparse(), [wide[0], wide[1], wide[2], wide[3]]):
        torch.save((value, [0, 0, 1, 1]), path)
        with pytest.raises(DatasetError, match="whose numbers are not all in the file"):
            read_features(tmp_path, "f", "1", [0, 0, 1, 1], "all.txt")
    torch.save((torch.rand(4, 2), torch.zeros(1, dtype=torch.long).expand(10**12)), path)
    with pytest.raises(DatasetError, match="its classes are not those of"):
        read_features(tmp_path, "f", "1", [0, 0, 1, 1], "all.txt")


def test_a_packed_file_that_swells_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "training_folder/features/f/1/all.pth"
    path.parent.mkdir(parents=True)
    torch.save((torch.zeros(4, 10**5), [0, 0, 1, 1]), tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(DatasetError, match=r"no readable tensors \(it would unpack to 160"):
        read_features(tmp_path, "f", "1", [0, 0, 1, 1], "all.txt")
