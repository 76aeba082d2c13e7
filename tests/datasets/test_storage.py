"""Tests of the generated folder: wholly or not at all."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.storage import MANIFEST, count_files, is_written, new_folder
from cliqa.utils.errors import DatasetError

ARGUMENTS: dict[str, Any] = {"train": 3, "photos": None}


def fill(root: Path, arguments: dict[str, Any] = ARGUMENTS) -> None:
    with new_folder(root, arguments) as folder:
        (folder / "a").mkdir()
        (folder / "a" / "one.txt").write_text("1")
        (folder / "two.txt").write_text("2")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    fill(tmp_path / "made" / "demo")
    return tmp_path / "made" / "demo"


def test_a_written_folder_is_complete(written: Path) -> None:
    assert is_written(written, ARGUMENTS)
    assert count_files(written) == 2
    assert json.loads((written / MANIFEST).read_text()) == {"arguments": ARGUMENTS, "files": 2}
    assert [path.name for path in written.parent.iterdir()] == ["demo"]
    assert stat.S_IMODE(written.stat().st_mode) == stat.S_IMODE((written / "a").stat().st_mode)


def test_no_folder_and_an_empty_one_are_to_be_written(tmp_path: Path) -> None:
    assert not is_written(tmp_path / "missing", ARGUMENTS)
    assert not is_written(tmp_path, ARGUMENTS)
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty")
    assert is_written(tmp_path / "empty", ARGUMENTS)


def test_a_crash_leaves_nothing(tmp_path: Path) -> None:
    def stop_halfway() -> None:
        with new_folder(tmp_path / "demo", ARGUMENTS) as folder:
            (folder / "half.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_writer_that_is_killed_stands_in_nobody_s_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container every process has the same number."""
    number = os.getpid
    monkeypatch.setattr(os, "getpid", lambda: 1)
    for _ in range(2):
        child = os.fork()
        if child == 0:
            try:
                with new_folder(tmp_path / "demo", ARGUMENTS) as folder:
                    (folder / "half.txt").write_text("half")
                    os.kill(number(), signal.SIGKILL)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        assert len(list(tmp_path.iterdir())) == 2
    fill(tmp_path / "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == ["a", MANIFEST, "two.txt"]


def test_of_two_writers_the_first_wins(tmp_path: Path) -> None:
    root = tmp_path / "demo"
    with new_folder(root, ARGUMENTS) as folder:
        (folder / "late.txt").write_text("late")
        folder.rename(tmp_path / "aside")
        fill(root)
        (tmp_path / "aside").rename(folder)
    assert not (root / "late.txt").exists()
    assert is_written(root, ARGUMENTS)
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_other_content_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "demo"

    def write_too_late() -> None:
        with new_folder(root, ARGUMENTS):
            root.mkdir()
            (root / "thesis.txt").write_text("mine")

    with pytest.raises(DatasetError, match="not written by this generator"):
        write_too_late()
    assert (root / "thesis.txt").read_text() == "mine"


def test_other_arguments_are_named(written: Path) -> None:
    with pytest.raises(DatasetError, match=r"other arguments: train=3, now 4\. Choose another"):
        is_written(written, {**ARGUMENTS, "train": 4})
    with pytest.raises(DatasetError, match="size=None, now 9"):
        is_written(written, {**ARGUMENTS, "size": 9})


def test_files_beside_the_generated_ones_do_no_harm(written: Path) -> None:
    (written / "features.pth").write_text("mine")
    (written / ".DS_Store").write_text("a file manager's")
    assert is_written(written, ARGUMENTS)


def test_hidden_files_stand_for_no_lost_one(written: Path) -> None:
    (written / "two.txt").unlink()
    (written / ".DS_Store").write_text("a file manager's")
    with pytest.raises(DatasetError, match="holds 1 files of the 2 generated"):
        is_written(written, ARGUMENTS)


def test_lost_files_are_counted(written: Path) -> None:
    (written / "two.txt").unlink()
    with pytest.raises(DatasetError, match="holds 1 files of the 2 generated. Choose another"):
        is_written(written, ARGUMENTS)


@pytest.mark.parametrize("text", ["{", '{"arguments": {}}', '{"arguments": 3, "files": 2}', "[]"])
def test_a_damaged_manifest_is_named(written: Path, text: str) -> None:
    (written / MANIFEST).write_text(text)
    with pytest.raises(DatasetError, match=f"{MANIFEST} is damaged"):
        is_written(written, ARGUMENTS)


def test_foreign_content_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DatasetError, match="is not empty and was not written by this generator"):
        is_written(tmp_path, ARGUMENTS)
    with pytest.raises(DatasetError, match=r"mine\.txt is a file"):
        is_written(tmp_path / "mine.txt", ARGUMENTS)


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_the_place_it_leads_to_is_filled(tmp_path: Path, there: bool) -> None:
    (tmp_path / "disk").mkdir()
    if there:
        (tmp_path / "disk" / "big").mkdir()
    (tmp_path / "demo").symlink_to(tmp_path / "disk" / "big")
    fill(tmp_path / "demo")
    assert (tmp_path / "demo").is_symlink()
    assert is_written(tmp_path / "disk" / "big", ARGUMENTS)
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["big"]


def test_a_place_on_a_disk_that_is_away_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "demo").symlink_to(tmp_path / "away" / "big")
    with pytest.raises(
        DatasetError, match=r"demo: cannot be written \(a link to a folder that does not exist"
    ):
        fill(tmp_path / "demo")
    assert not (tmp_path / "away").exists()
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    with pytest.raises(DatasetError, match=r"new: cannot be written \(a disk is mounted there"):
        fill(tmp_path / "new")
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DatasetError, match=r"a: cannot be written .*Choose another folder"):
        fill(tmp_path / "a")


def test_a_folder_that_cannot_get_its_name_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "demo")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(DatasetError, match=r"demo: cannot be written \(Permission denied"):
        fill(tmp_path / "demo")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(DatasetError, match="demo: cannot be written"):
        fill(tmp_path / "file" / "demo")


def test_an_empty_folder_is_filled_and_a_used_one_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with new_folder(tmp_path / "out") as folder:
        (folder / "a.txt").write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out/a.txt").read_text() == "a"
    for used in (tmp_path / "out", tmp_path / "out/a.txt"):
        with pytest.raises(DatasetError, match="exists already"), new_folder(used):
            pass
    with (
        pytest.raises(DatasetError, match="b: cannot be written"),
        new_folder(tmp_path / "out/a.txt/b"),
    ):
        pass


def test_without_a_manifest_the_second_of_two_writers_fails(tmp_path: Path) -> None:
    def write_too_late() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "a.txt").write_text("late")
            with new_folder(tmp_path / "out") as other:
                (other / "a.txt").write_text("first")

    with pytest.raises(DatasetError, match=r"out exists already\. Choose a new folder"):
        write_too_late()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "a.txt").read_text() == "first"
