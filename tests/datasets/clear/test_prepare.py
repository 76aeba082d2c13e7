"""The training folder: what it holds by definition, and that nothing published is lost."""

from __future__ import annotations

import json
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.datasets.clear.metadata import Metadata
from cliqa.datasets.clear.prepare import join_features, prepare
from cliqa.utils.errors import ConfigError, DatasetError

SPLIT = "training_folder/testset_ratio_0.3/split_3/2"
ALL = "training_folder/filelists/2/all.txt"


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return the files of a folder with their content and time."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def test_images_are_listed_class_by_class_in_the_order_of_the_metadata(old_tree: Path) -> None:
    lines = (old_tree / ALL).read_text().splitlines()
    expected = []
    for target, name in enumerate(("dress", "bus", "camera")):
        records = json.loads((old_tree / f"labeled_metadata/2/{name}.json").read_text())
        expected += [f"{record['IMG_PATH']} {target}" for record in records.values()]
    assert lines == expected
    assert len(lines) == 24
    buckets = json.loads((old_tree / "training_folder/bucket_indices.json").read_text())
    assert buckets == ["1", "2", "10"]


def test_the_split_is_the_seeds_shuffle(old_tree: Path) -> None:
    order = list(range(24))
    random.Random(3).shuffle(order)
    lines = (old_tree / ALL).read_text().splitlines()
    for part, indices in (("test", order[:7]), ("train", order[7:])):
        assert json.loads((old_tree / SPLIT / f"{part}_indices.json").read_text()) == indices
        listed = (old_tree / SPLIT / f"{part}.txt").read_text().splitlines()
        assert listed == [lines[index] for index in indices]


def test_features_are_joined_in_the_order_of_the_list(old_tree: Path) -> None:
    features, targets = torch.load(
        old_tree / "training_folder/features/moco_b0/2/all.pth", weights_only=True
    )
    lines = (old_tree / ALL).read_text().splitlines()
    numbers = [float(Path(line.split()[0]).stem) for line in lines]
    assert features[:, 2].tolist() == numbers
    assert targets == features[:, 1].tolist() == [int(line.split()[1]) for line in lines]


def test_running_it_again_changes_nothing(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    before = snapshot(root)
    prepare(root)
    assert snapshot(root) == before


def test_missing_lists_are_written_anew(copy_of: Callable[[str], Path], old_tree: Path) -> None:
    root = copy_of("old")
    shutil.rmtree(root / SPLIT)
    prepare(root)
    assert {p: c for p, (c, _) in snapshot(root).items()} == {
        p: c for p, (c, _) in snapshot(old_tree).items()
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (ALL, "labeled_images/2/bus/2100.jpg 1\n"),
        (f"{SPLIT}/test_indices.json", "[1, 2]"),
        (f"{SPLIT}/test_indices.json", "no JSON"),
        (f"{SPLIT}/test_indices.json", "3"),
        ("training_folder/bucket_indices.json", '["1", "2"]'),
    ],
)
def test_other_lists_are_kept_unless_they_may_be_replaced(
    copy_of: Callable[[str], Path], name: str, text: str
) -> None:
    root = copy_of("old")
    right = (root / name).read_text()
    (root / name).write_text(text)
    before = snapshot(root)
    with pytest.raises(DatasetError, match=rf"(?s)1 existing lists differ .*{name}.*--overwrite"):
        prepare(root)
    assert snapshot(root) == before
    prepare(root, overwrite=True)
    assert (root / name).read_text() == right


def test_buckets_as_numbers_are_the_same_buckets(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    (root / "training_folder/bucket_indices.json").write_text("[1, 2, 10]")
    prepare(root)


def test_other_features_are_kept_unless_they_may_be_replaced(
    copy_of: Callable[[str], Path],
) -> None:
    root = copy_of("old")
    path = root / "training_folder/features/moco_b0/2/all.pth"
    features, targets = torch.load(path, weights_only=True)
    torch.save((features + 1, targets), path)
    with pytest.raises(DatasetError, match=r"2/all\.pth: differs from the features in"):
        prepare(root)
    prepare(root, overwrite=True)
    assert torch.equal(torch.load(path, weights_only=True)[0], features)


def test_a_listed_image_without_a_feature_is_named(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    with (root / ALL).open("a") as file:
        file.write("labeled_images/2/bus/5.jpg 1\n")
    with pytest.raises(DatasetError, match=r"'moco_b0' lack labeled_images/2/bus/5\.jpg"):
        join_features(root, "moco_b0", overwrite=True)


def test_other_seeds_and_shares_have_folders_of_their_own(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    prepare(root, test_ratio=0.5, seeds=(7,))
    folder = root / "training_folder/testset_ratio_0.5"
    assert [path.name for path in folder.iterdir()] == ["split_7"]
    assert len(json.loads((folder / "split_7/10/test_indices.json").read_text())) == 12


def test_the_new_layout_needs_nothing(
    copy_of: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = copy_of("new")
    before = snapshot(root)
    with caplog.at_level(logging.INFO):
        prepare(root)
    assert "nothing to prepare" in caplog.text
    assert snapshot(root) == before


def test_class_names_may_hold_spaces(written_tree: Callable[..., Path]) -> None:
    root = written_tree(classes=("evening dress", "bus"))
    prepare(root)
    assert Metadata(root).listing("1").images[0] == "labeled_images/1/evening dress/1000.jpg"
    assert (root / ALL).read_text().startswith("labeled_images/2/evening dress/2000.jpg 0\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_ratio": 1}, r"test_ratio must lie between 0 and 1, e\.g\. 0\.3, got 1"),
        ({"test_ratio": 0}, "test_ratio must lie between"),
        ({"seeds": ()}, "seeds must be whole numbers >= 0"),
        ({"seeds": (-1,)}, "seeds must be whole numbers >= 0"),
    ],
)
def test_wrong_arguments_are_refused(
    old_tree: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(old_tree, **arguments)
