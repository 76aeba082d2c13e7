"""Few-shot lists: drawn from the training split, always the same, fewer within more."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.clear.fewshot import describe_shots, draw_shots, get_fewshot_indices
from cliqa.datasets.clear.filelists import Listing
from cliqa.datasets.clear.trees import open_tree
from cliqa.utils.errors import ConfigError, DatasetError

TARGETS = [0, 1, 2] * 10


def test_each_class_gives_as_many() -> None:
    drawn = draw_shots(TARGETS, range(20), 4, seed=1)
    assert Counter(TARGETS[place] for place in drawn) == {0: 4, 1: 4, 2: 4}
    assert drawn == sorted(set(drawn))
    assert max(drawn) < 20


def test_the_seed_decides_and_the_candidates_order_does_not() -> None:
    assert draw_shots(TARGETS, range(30), 3, 1) != draw_shots(TARGETS, range(30), 3, 2)
    assert draw_shots(TARGETS, range(30), 3, 1) == draw_shots(TARGETS, range(29, -1, -1), 3, 1)


def test_fewer_shots_are_a_part_of_more() -> None:
    one, five = (set(draw_shots(TARGETS, range(30), shot, 0)) for shot in (1, 5))
    assert one < five
    assert draw_shots(TARGETS, range(30), 99, 0) == list(range(30))


@pytest.mark.parametrize("layout", ["old", "new"])
def test_indices_and_lines_are_the_same_images(copy_of: Callable[[str], Path], layout: str) -> None:
    root = copy_of(layout)
    get_fewshot_indices(root, 3, 2)
    tree = open_tree(root)
    for bucket in ("1", "2", "10"):
        folder = root / f"training_folder/3_shot/split_2/{bucket}"
        train, test = tree.split(bucket, 2)
        for part, own in (("train", train), ("test", test)):
            indices = json.loads((folder / f"{part}_indices.json").read_text())
            if layout == "new":  # indices count within the part
                indices = [own[index] for index in indices]
            assert set(indices) <= set(own)
            lines = (folder / f"{part}.txt").read_text()
            assert lines == tree.whole(bucket).select(indices).lines()
        assert len(json.loads((folder / "train_indices.json").read_text())) == 9


def test_the_test_list_is_the_iid_protocols(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    get_fewshot_indices(root, 1, 4)
    for name in ("test.txt", "test_indices.json"):
        few = root / "training_folder/1_shot/split_4/2" / name
        iid = root / "training_folder/testset_ratio_0.3/split_4/2" / name
        assert few.read_text() == iid.read_text()


def test_running_it_again_gives_the_same_files(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("old")
    files = []
    for _ in range(2):
        get_fewshot_indices(root)
        folder = root / "training_folder/5_shot/split_0"
        files.append({path: path.read_bytes() for path in folder.rglob("*.*")})
    assert files[0] == files[1]
    assert len(files[0]) == 12


def test_a_class_with_fewer_gives_all_and_is_reported(
    copy_of: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = copy_of("new")
    with caplog.at_level(logging.WARNING):
        notes = get_fewshot_indices(root, 9, 0)
    assert notes[0] == "bucket 1: fewer than 9 images of dress (8), bus (8), camera (8)"
    assert len(notes) == 3
    assert "bus (8), camera (8); all were taken" in caplog.text


def test_other_numbers_than_asked_for_are_described() -> None:
    listing = Listing(tuple("abcd"), (0, 0, 0, 2), tuple("abcd"))
    assert describe_shots(listing, ["x", "y", "z"], 1, "4") == [
        "bucket 4: fewer than 1 images of y (0)",
        "bucket 4: more than 1 images of x (3)",
    ]
    assert describe_shots(listing.select([0, 3]), ["x", "z", "z"], 1, "4")[1:] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0), "shot must be a whole number >= 1, got 0"),
        ((True, 0), "shot must be a whole number >= 1, got True"),
        ((1, -1), "seed must be a whole number >= 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused(
    old_tree: Path, arguments: tuple[Any, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        get_fewshot_indices(old_tree, *arguments)


def test_a_seed_without_a_split_is_refused(old_tree: Path) -> None:
    with pytest.raises(DatasetError, match=r"split_9/1/train\.txt: missing\. Write it with"):
        get_fewshot_indices(old_tree, 1, 9)
    assert not (old_tree / "training_folder/1_shot").exists()
