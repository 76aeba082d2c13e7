"""What is the layouts' own: bucket 0, and the parts of the new layout."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cliqa.datasets.clear.trees import NewTree, OldTree, open_tree
from cliqa.utils.errors import ConfigError, DatasetError


def test_the_right_tree_is_opened(old_tree: Path, new_tree: Path) -> None:
    assert isinstance(open_tree(old_tree), OldTree)
    assert isinstance(open_tree(str(new_tree)), NewTree)


def test_a_root_that_is_no_path_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"dataset_root must be the path .*, got None"):
        open_tree(None)  # type: ignore[arg-type]


def test_a_split_is_disjoint_and_complete(old_tree: Path, new_tree: Path) -> None:
    for root in (old_tree, new_tree):
        tree = open_tree(root)
        train, test = tree.split("2", 1)
        assert sorted(train + test) == list(range(len(tree.whole("2"))))
        assert all(len(part) > 0 for part in (train, test))


def test_bucket_0_of_one_part_is_left_out_and_noted(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("new")
    path = root / "train/labeled_metadata.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps({**index, "0": index["1"]}))
    tree = open_tree(root)
    assert tree.buckets == ("1", "2", "10")
    assert tree.notes == ["bucket 0 is only in train and was left out"]
    (root / "test/labeled_metadata.json").write_text(path.read_text())
    assert open_tree(root).buckets == ("0", "1", "2", "10")


def test_bucket_0_is_a_bucket_where_the_old_layout_lists_it(
    copy_of: Callable[[str], Path],
) -> None:
    root = copy_of("old")
    (root / "training_folder/bucket_indices.json").write_text('["2", "0", "1"]')
    assert open_tree(root).buckets == ("0", "1", "2")


def test_parts_with_features_of_different_lengths_are_refused(
    copy_of: Callable[[str], Path],
) -> None:
    root = copy_of("new")
    for path in (root / "test/features/moco_b0/2").iterdir():
        rows = torch.load(path, weights_only=True)
        torch.save({key: row[:2] for key, row in rows.items()}, path)
    tree = open_tree(root)
    assert tree.features("1", "moco_b0").shape == (36, 3)
    with pytest.raises(DatasetError, match="bucket 2 have 3 numbers in train and 2 in test"):
        tree.features("2", "moco_b0")
