from __future__ import annotations

import logging
import os
import unicodedata
from pathlib import Path

import pytest

from cliqa.datasets import image_listing
from cliqa.datasets.image_listing import (
    find_path,
    is_hidden,
    is_image,
    list_folders,
    list_images,
    log_others,
    places_by_nfc,
)
from cliqa.utils.errors import DatasetError

NFC, NFD = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_what_systems_leave_behind_is_hidden() -> None:
    hidden = ("._a.jpg", ".DS_Store", ".a.jpg", "Thumbs.db", "desktop.ini", "__MACOSX", "@eaDir")
    assert all(map(is_hidden, hidden))
    assert not any(map(is_hidden, ("a.jpg", "thumbs.jpg", "macosx")))
    assert is_image("a.JFIF")
    assert not is_image("a.raw")


def test_images_are_listed_and_other_files_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "._a.jpg", "b.txt", ".DS_Store", "x/c.AVIF", "x/d.raw", "x/Thumbs.db")
    touch(tmp_path, "__MACOSX/._a.jpg", "__MACOSX/e.jpg", ".git/f.jpg")
    others: list[str] = []
    found = list_images(tmp_path, others)
    assert sorted(found) == [str(tmp_path / "a.jpg"), str(tmp_path / "x/c.AVIF")]
    assert sorted(others) == ["b.txt", "d.raw"]
    assert list_images(tmp_path, [], recursive=False) == [str(tmp_path / "a.jpg")]
    assert list_folders(tmp_path) == ["x"]


def test_what_was_not_looked_at_is_told(caplog: pytest.LogCaptureFixture) -> None:
    names = ["a.txt"] * 10 + ["b.RAW", "c.raw", "README"] + [f"d.x{k}" for k in range(4)]
    with caplog.at_level(logging.INFO):
        log_others("set", names)
        log_others("one", ["a.txt"])
        log_others("none", [])
        log_others("phone", ["a.heic"])
    first, second, third = (record.getMessage() for record in caplog.records)
    assert third.endswith("(.heic 1). pip install pillow-heif to have .heic read.")
    assert first.startswith("set: 17 files are no images by their suffix and not read (.txt 10, ")
    assert ".raw 2, without suffix 1" in first
    assert first.endswith("others 2).")
    assert second == "one: 1 file is no image by its suffix and not read (.txt 1)."


def test_a_folder_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a/b.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(image_listing.os, "scandir", refuse)
    with pytest.raises(DatasetError, match=r"a: cannot be read \(Permission denied\)\. Change its"):
        list_images(tmp_path, [])


@pytest.mark.parametrize(("asked", "there"), [(NFC, NFD), (NFD, NFC)])
def test_a_path_is_found_in_either_form(tmp_path: Path, asked: str, there: str) -> None:
    touch(tmp_path, f"caf{there}/x{there}.jpg")
    assert find_path(tmp_path / f"caf{asked}" / f"x{asked}.jpg") == (
        tmp_path / f"caf{there}" / f"x{there}.jpg"
    )
    missing = tmp_path / f"caf{asked}" / f"y{asked}.jpg"
    assert find_path(missing) == missing
    touch(tmp_path, f"caf{asked}/x{asked}.jpg")
    assert find_path(tmp_path / f"caf{asked}" / f"x{asked}.jpg").parent.name == f"caf{asked}"


def test_two_candidates_are_none(tmp_path: Path) -> None:
    # an e with a dot below and a circumflex: the letter may hold both, one, or none
    forms = ["\u1ec7", "\u1eb9\u0302", "e\u0323\u0302"]
    touch(tmp_path, f"{forms[1]}.jpg", f"{forms[2]}.jpg")
    assert find_path(tmp_path / f"{forms[0]}.jpg") == tmp_path / f"{forms[0]}.jpg"


def test_places_by_form() -> None:
    assert places_by_nfc([f"a{NFC}", "b", f"c{NFC}", f"c{NFD}"]) == {f"a{NFC}": 0}
