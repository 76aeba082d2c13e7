from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.datasets.own.folder import guess_folder
from cliqa.utils.errors import DatasetError
from tests.datasets.own.conftest import write_images

NAMES = [f"{k}.png" for k in range(6)]


@pytest.mark.parametrize("folder", ["", "images", "..", "deep/er"])
def test_the_folder_is_found(folder: str, tmp_path: Path) -> None:
    base = tmp_path / "data"
    base.mkdir()
    names = [f"er/{name}" for name in NAMES] if folder == "deep/er" else NAMES
    write_images(base / folder, NAMES)
    found = folder.split("/")[0]
    assert guess_folder(base / "my.csv", names, {}, 0) == (found, "")


def test_images_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path / "here/images", NAMES)
    monkeypatch.chdir(tmp_path / "here")
    labels = tmp_path / "elsewhere/deep/my.csv"
    labels.parent.mkdir(parents=True)
    names = [f"images/{name}" for name in NAMES]
    assert guess_folder(labels, names, {}, 0) == (str(tmp_path / "here"), "")


def test_a_missing_suffix_is_found(tmp_path: Path) -> None:
    write_images(tmp_path / "pictures", NAMES)
    (tmp_path / "pictures/0.txt").touch()
    names = [name[:-4] for name in NAMES]
    assert guess_folder(tmp_path / "my.csv", names, {}, 0) == ("pictures", ".png")
    given = {"images": "pictures"}
    assert guess_folder(tmp_path / "my.csv", names, given, 0) == ("pictures", ".png")


def test_the_folder_with_most_images_is_meant(tmp_path: Path) -> None:
    write_images(tmp_path / "few", NAMES[:2])
    write_images(tmp_path / "all", NAMES)
    assert guess_folder(tmp_path / "my.csv", NAMES, {}, 0)[0] == "all"
    write_images(tmp_path, NAMES)  # beside the label file comes first
    assert guess_folder(tmp_path / "my.csv", NAMES, {}, 0)[0] == ""


def test_two_folders_with_the_same_names_are_asked_about(tmp_path: Path) -> None:
    for folder in ("full", "small"):
        write_images(tmp_path / folder, NAMES)
    message = (
        r"several folders below .*: which is meant\? Add --cfg-options "
        r"scenario\.datasets\.1\.images=full \(or scenario\.datasets\.1\.images=small\)\."
    )
    with pytest.raises(DatasetError, match=message):
        guess_folder(tmp_path / "my.csv", NAMES, {}, 1)
    assert guess_folder(tmp_path / "my.csv", NAMES, {"images": "small"}, 1) == ("small", "")


def test_images_that_are_nowhere_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    message = r"where are its images, such as '0\.png'\? .*scenario\.datasets\.0\.images=FOLDER\."
    with pytest.raises(DatasetError, match=message):
        guess_folder(tmp_path / "my.csv", NAMES, {}, 0)
