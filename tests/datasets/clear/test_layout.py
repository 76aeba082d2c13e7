"""The layout is what lies in the folder; buckets come in the order of time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.clear.layout import (
    choose_buckets,
    detect_layout,
    read_class_names,
    sort_buckets,
)
from cliqa.utils.errors import ConfigError, DatasetError


def test_the_layout_is_seen_from_the_folder(old_tree: Path, new_tree: Path) -> None:
    assert detect_layout(old_tree) == "old"
    assert detect_layout(new_tree) == "new"


def test_an_unprepared_folder_and_one_of_lists_alone_are_old(
    copy_of: Callable[[str], Path],
) -> None:
    root = copy_of("old")
    shutil.move(root / "training_folder", root / "kept")
    assert detect_layout(root) == "old"
    shutil.move(root / "kept", root / "training_folder")
    (root / "labeled_metadata.json").unlink()
    assert detect_layout(root) == "old"


def test_few_shot_lists_do_not_make_the_new_layout_old(copy_of: Callable[[str], Path]) -> None:
    root = copy_of("new")
    (root / "training_folder/5_shot").mkdir(parents=True)
    assert detect_layout(root) == "new"


def test_a_folder_of_neither_or_both_layouts_is_refused(
    tmp_path: Path, copy_of: Callable[[str], Path]
) -> None:
    with pytest.raises(DatasetError, match=r"no such folder .*Set scenario\.dataset_root"):
        detect_layout(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no CLEAR data set, but nothing"):
        detect_layout(tmp_path / "empty")
    (tmp_path / "empty" / "CLEAR-10-PUBLIC").mkdir()
    with pytest.raises(DatasetError, match=r"but CLEAR-10-PUBLIC\. Expected labeled_metadata"):
        detect_layout(tmp_path / "empty")
    root = copy_of("old")
    shutil.copytree(copy_of("new"), root, dirs_exist_ok=True)
    with pytest.raises(DatasetError, match="holds both layouts"):
        detect_layout(root)


@pytest.mark.parametrize("text", ["a b\nc\n", "a b\nc", "a b\r\nc\r\n", "\na b\n\nc\n\n"])
def test_empty_lines_are_no_class(tmp_path: Path, text: str) -> None:
    (tmp_path / "class_names.txt").write_bytes(text.encode())
    assert read_class_names(tmp_path) == ("a b", "c")


@pytest.mark.parametrize(
    ("text", "message"), [("\n", "names no class"), ("a\nb\na\n", "class 'a' is listed twice")]
)
def test_wrong_classes_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "class_names.txt").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_class_names(tmp_path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "lists no bucket"),
        (["1", "two"], "bucket 'two' is not a number"),
        (["1", "01"], "a bucket is listed twice: 1, 01"),
    ],
)
def test_wrong_buckets_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        sort_buckets(names, Path("bucket_indices.json"))


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ([4], r"scenario\.buckets: there is no bucket 4\. There are 1, 2, 10"),
        ([], "the list is empty"),
        ([1, "1"], "a bucket is named twice"),
        ("10", "must be a list"),
        (3, "must be a list"),
    ],
)
def test_wrong_choices_of_buckets_are_refused(wanted: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_buckets(("1", "2", "10"), wanted)
    assert choose_buckets(("1", "2", "10"), ["10", 2]) == ("2", "10")
