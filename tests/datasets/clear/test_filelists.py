"""Lists of images and of indices."""

from __future__ import annotations

import json
from pathlib import Path
from unicodedata import normalize

import pytest

from cliqa.datasets.clear.filelists import Listing, find_places, read_filelist, read_indices
from cliqa.utils.errors import DatasetError

LISTING = Listing(("a b/1.jpg", "a b/2.jpg", "c/3.jpg"), (0, 0, 1), ("l1", "l2", "l3"))


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_text(LISTING.lines())
    found = read_filelist(tmp_path, "all.txt", 2, "")
    assert (found.images, found.targets) == (LISTING.images, LISTING.targets)
    assert found.places[2] == "all.txt, line 3"


def test_line_ends_and_empty_lines_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "all.txt").write_bytes(b"a b/1.jpg 0\r\n\r\nc/3.jpg 1")
    found = read_filelist(tmp_path, "all.txt", 2, "")
    assert found.images == ("a b/1.jpg", "c/3.jpg")
    assert found.places[1] == "all.txt, line 3"


def test_lists_are_joined_and_selected_from() -> None:
    joined = LISTING.select([2]) + LISTING.select([1, 0])
    assert joined.images == ("c/3.jpg", "a b/2.jpg", "a b/1.jpg")
    assert joined.targets == (1, 0, 0)
    assert joined.places == ("l3", "l2", "l1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a/1.jpg 0\na/2.jpg\n", r"all\.txt, line 2: 'a/2\.jpg' has no class"),
        ("a/1.jpg bus\n", "line 1: .* has no class"),
        ("7\n", "line 1: '7' has no class"),
        ("a/1.jpg 2\n", r"line 1: class 2 does not exist; .* names 2 classes, 0\.\.1"),
        ("a/1.jpg -1\n", "line 1: class -1 does not exist"),
        ("a/1.jpg 0\n\na/1.jpg 1\n", r"line 3: a/1\.jpg is also in line 1"),
        ("\n", "lists no image"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "all.txt").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_filelist(tmp_path, "all.txt", 2, "")


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([0, 5], r"index 5 is out of range; all\.txt lists 5 images, 0\.\.4"),
        ([-1], "index -1 is out of range"),
        ([1, 2, 1], "index 1 occurs twice"),
        ([], "lists no index"),
        ([0, True], "expected a JSON list of whole numbers"),
        ([0.0], "expected a JSON list of whole numbers"),
        ({"0": 1}, "expected a JSON list of whole numbers"),
    ],
)
def test_wrong_indices_are_named(tmp_path: Path, indices: object, message: str) -> None:
    path = tmp_path / "train_indices.json"
    path.write_text(json.dumps(indices))
    with pytest.raises(DatasetError, match=message):
        read_indices(path, 5, "all.txt", "")


def test_a_part_is_found_in_the_whole() -> None:
    assert find_places(Path(), LISTING, LISTING.select([2, 0]), "all.txt") == [2, 0]
    foreign = Listing(("d/4.jpg",), (0,), ("train.txt, line 1",))
    with pytest.raises(DatasetError, match=r"train\.txt, line 1: d/4\.jpg is not in all\.txt"):
        find_places(Path(), LISTING, foreign, "all.txt")
    other = Listing(("c/3.jpg",), (0,), ("train.txt, line 1",))
    with pytest.raises(DatasetError, match=r"c/3\.jpg has class 0, but class 1 in l3"):
        find_places(Path(), LISTING, other, "all.txt")


def test_images_are_found_in_either_form_of_unicode(tmp_path: Path) -> None:
    composed, decomposed = (normalize(form, "bus/é.jpg") for form in ("NFC", "NFD"))
    whole = Listing(("bus/a.jpg", composed), (0, 0), ("all, line 1", "all, line 2"))
    part = Listing((decomposed,), (0,), ("part, line 1",))
    assert find_places(tmp_path, whole, part, "all") == [1]
