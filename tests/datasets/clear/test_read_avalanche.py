"""The same samples as Avalanche's own class reads, where that one is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from avalanche.benchmarks.datasets.clear.clear import _CLEARFeature, _CLEARImage

from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.datasets.clear.read import read_clear
from cliqa.demo_data.clear import ClearData

NAME = "clear10_neurips2021"


@pytest.fixture(scope="module", params=["by hand", "generated"])
def root(
    request: pytest.FixtureRequest, old_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "by hand":
        return old_tree
    path = tmp_path_factory.mktemp("generated") / "clear"
    ClearData(classes=3, buckets=2, images=5, size=16).write(path)
    return path


def pairs(data: ClassDataset) -> list[tuple[Path, int]]:
    assert isinstance(data.inputs, ImageFiles)
    return list(zip(map(Path, data.inputs.paths), data.targets.tolist(), strict=True))


def upstream(root: Path, split: str, seed: int | None) -> list[list[tuple[Path, int]]]:
    found = _CLEARImage(root, data_name=NAME, download=False, split=split, seed=seed)
    return [
        [(Path(path), target) for path, target in bucket]
        for bucket in found.get_paths_and_targets(root_appended=True)
    ]


def test_streaming_images(root: Path) -> None:
    splits = read_clear(root, data_name=NAME)
    expected = upstream(root, "all", None)
    assert [pairs(data) for data in splits.train] == expected
    assert [pairs(data) for data in splits.test] == expected


@pytest.mark.parametrize("seed", range(5))
def test_iid_images(root: Path, seed: int) -> None:
    splits = read_clear(root, data_name=NAME, evaluation_protocol="iid", seed=seed)
    assert [pairs(data) for data in splits.train] == upstream(root, "train", seed)
    assert [pairs(data) for data in splits.test] == upstream(root, "test", seed)


def test_streaming_features(old_tree: Path) -> None:
    splits = read_clear(old_tree, data_name=NAME, feature_type="moco_b0")
    found = _CLEARFeature(
        old_tree, data_name=NAME, download=False, split="all", seed=None, feature_type="moco_b0"
    )
    assert len(found.tensors_and_targets) == len(splits.train) == 3
    for data, (tensors, targets) in zip(splits.train, found.tensors_and_targets, strict=True):
        assert isinstance(data.inputs, torch.Tensor)
        assert torch.equal(data.inputs, tensors)
        assert data.targets.tolist() == targets
