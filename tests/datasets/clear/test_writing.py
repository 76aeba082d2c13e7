"""Writing a tree: pieces of equal size, links, unique ids."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.clear.writing import (
    PlacedImage,
    check_ids,
    check_options,
    copy_image,
    cut,
    write_part,
)
from cliqa.utils.errors import ConfigError, DatasetError


@pytest.mark.parametrize(("total", "count"), [(10, 3), (9, 3), (2, 4), (0, 2), (7, 1)])
def test_pieces_are_consecutive_and_differ_by_one_at_most(total: int, count: int) -> None:
    pieces = cut(list(range(total)), count)
    assert [item for piece in pieces for item in piece] == list(range(total))
    sizes = [len(piece) for piece in pieces]
    assert len(sizes) == count
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) - min(sizes) <= 1


def test_images_are_copied_or_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(b"image")
    copy_image(source, "copy", tmp_path / "copy.jpg")
    copy_image(source, "link", tmp_path / "link.jpg")
    assert (tmp_path / "copy.jpg").read_bytes() == b"image"
    assert not (tmp_path / "copy.jpg").samefile(source)
    assert (tmp_path / "link.jpg").samefile(source)

    def refuse(*_: Any) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    copy_image(source, "link", tmp_path / "far.jpg")
    assert (tmp_path / "far.jpg").read_bytes() == b"image"
    for how in ("copy", "link"):
        with pytest.raises(DatasetError, match=r"b\.jpg: no such image file"):
            copy_image(tmp_path / "b.jpg", how, tmp_path / "c.jpg")


def test_ids_are_unique_in_a_bucket() -> None:
    image = PlacedImage("7", ".jpg", {}, lambda path: None)
    check_ids({"1": {"bus": [image]}, "2": {"bus": [image]}})
    with pytest.raises(DatasetError, match=r"id 7 would be twice in bucket 1 \(classes 'bus' and"):
        check_ids({"1": {"bus": [image], "dress": [image]}})


def test_records_say_where_the_images_lie(tmp_path: Path) -> None:
    image = PlacedImage("7", ".PNG", {"IMG_PATH": "old", "a": 1}, lambda p: p.write_bytes(b"i"))
    write_part(tmp_path, ["a bus"], {"3": {"a bus": [image]}})
    text = (tmp_path / "labeled_metadata/3/a bus.json").read_text()
    assert '"IMG_PATH": "labeled_images/3/a bus/7.PNG", "a": 1' in text
    assert '"IMG_DIR": "labeled_images/3/a bus"' in text
    assert (tmp_path / "labeled_images/3/a bus/7.PNG").read_bytes() == b"i"
    assert (tmp_path / "class_names.txt").read_text() == "a bus"


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigError, match="copy must be 'copy' or 'link', got 'move'"):
        check_options("move", 1)
    for wrong in (0, True, 2.0):
        with pytest.raises(ConfigError, match="buckets must be a whole number >= 1, got"):
            check_options("copy", wrong)
