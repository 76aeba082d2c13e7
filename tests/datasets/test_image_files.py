from __future__ import annotations

import os
from pathlib import Path
from typing import Literal
from unicodedata import normalize
from unittest import mock

import numpy as np
import pytest

from cliqa.datasets.image_files import (
    describe_missing,
    find_folder,
    join_paths,
    match_images,
    unreadable,
)
from cliqa.datasets.labels.table import ScoreTable
from cliqa.utils.errors import DatasetError

Form = Literal["NFC", "NFD"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "B.JPG", "x/c.png", "x/D.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_are_matched_with_their_capitals(folder: Path) -> None:
    names = ["a.jpg", "b.jpg", "x/C.png", "x/D.png", "nowhere/e.png", "f.jpg"]
    matched = match_images(folder, names)
    assert matched == ["a.jpg", "B.JPG", "x/c.png", "x/D.png", None, None]


@pytest.mark.parametrize(("asked", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_match_in_either_form_of_unicode(tmp_path: Path, asked: Form, there: Form) -> None:
    def spell(form: Form) -> list[str]:
        return [normalize(form, name) for name in ("é.jpg", "ñ/ü.png", "ñ/Å.PNG", "plain.jpg")]

    for name in spell(there):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [
        name.replace("\u00c5.PNG", "\u00e5.png").replace("A\u030a.PNG", "a\u030a.png")
        for name in spell(asked)
    ]
    assert names[2] != spell(asked)[2]  # with other capitals too
    assert match_images(tmp_path, names) == spell(there)
    assert match_images(tmp_path, [str(tmp_path / name) for name in names]) == [
        str(tmp_path / name) for name in spell(there)
    ]
    assert find_folder(tmp_path, (normalize(asked, "ñ"),), ["ü.png"], "n", "") == (
        tmp_path / normalize(there, "ñ")
    )


def test_a_form_that_another_image_claims_is_no_match(tmp_path: Path) -> None:
    composed, decomposed = (normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    (tmp_path / decomposed).touch()
    assert match_images(tmp_path, [composed, decomposed]) == [None, decomposed]


def test_a_file_stands_for_one_image_only(folder: Path) -> None:
    assert match_images(folder, ["A.jpg", "a.jpg"]) == [None, "a.jpg"]
    assert match_images(folder, ["b.jpg", "b.JPG"]) == ["B.JPG", None]


def test_two_files_that_differ_in_capitals_are_no_match(folder: Path) -> None:
    (folder / "A.JPG").touch()
    assert match_images(folder, ["A.jpg"]) == [None]


def test_absolute_paths_stay(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    absolute = str(folder / "a.jpg")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert match_images(elsewhere, [absolute]) == [absolute]
    assert join_paths(elsewhere, [absolute, "x/c.png"]) == [absolute, f"{elsewhere}/x/c.png"]


def test_one_listing_serves_all_images_of_a_folder(folder: Path) -> None:
    with mock.patch("os.scandir", wraps=os.scandir) as scandir:
        match_images(folder, [f"{k}.jpg" for k in range(100)] + ["x/c.png"] * 100)
    assert scandir.call_count == 2


def test_the_folder_that_holds_the_images_is_preferred(folder: Path) -> None:
    (folder / "empty").mkdir()
    assert find_folder(folder, ("gone", "empty", "x"), ["c.png"], "n", "") == folder / "x"
    assert find_folder(folder, ("gone", "empty", "x"), ["z.png"], "n", "") == folder / "empty"


def test_no_folder_names_all_that_were_tried(folder: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"^n: no image folder .*/p or .*/q \(from .*\)\. Fix it\."
    ):
        find_folder(folder, ("p", "q"), [], "n", " Fix it.")


def test_five_missing_images_are_listed_with_their_rows(folder: Path) -> None:
    table = ScoreTable(
        images=tuple(f"{k}.jpg" for k in range(9)),
        raw=np.zeros(9),
        std=None,
        groups=None,
        splits=None,
        rows=tuple(range(2, 11)),
        source=Path("labels.csv"),
    )
    text = describe_missing(table, folder, range(1, 8))
    assert "7 of 9 images of labels.csv are missing: 1.jpg (row 3), 2.jpg (row 4)" in text
    assert "5.jpg (row 7) and 2 more." in text
    assert "6.jpg" not in text
    assert "The folder holds B.JPG, a.jpg, x" in describe_missing(table, folder, range(9))
    assert "The folder holds nothing" in describe_missing(table, folder / "gone", range(9))


def test_unreadable_images_are_found_by_index() -> None:
    def read(index: int) -> None:
        if index % 3 == 1:
            raise DatasetError(f"image {index} is broken")

    assert unreadable(read, 6, "n") == {1: "image 1 is broken", 4: "image 4 is broken"}
