"""Tests of cliqa.utils.paths."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.utils import paths
from cliqa.utils.console import ClosedOutput
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import (
    check_new_folder,
    check_output_file,
    check_output_files,
    check_output_folder,
    check_output_is_open,
    home_path,
    name_after,
    named_checkpoint,
)


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert home_path("~/data") == Path("/home/ann/data")
    assert home_path(Path("~")) == Path("/home/ann")


@pytest.mark.parametrize("name", ["~no_such_user/x", "~x", "a/~/b", "2024", ""])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert home_path(name) == Path(name)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/koniq_train.json", "koniq_train"),
        ("2024.csv", "2024"),
        ("scores (1).csv", "scores__1_"),
        ("it's, [z].csv", "it_s___z_"),
        ("_hidden.csv", "labels_hidden"),
        ("\u00e9.csv", "labels_\u00e9"),
    ],
)
def test_a_name_after_a_file_is_one_that_files_can_have(path: str, name: str) -> None:
    assert name_after(path) == name


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a folder, a file, a fifo, and links to nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("missing/folder")
    run = tmp_path / "run"
    run.mkdir()
    (run / "results.json").write_text("{}")
    return tmp_path


LONG = 300 * "a"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("folder", "--out folder: it is a folder. Give the name of a file in it."),
        ("file/o.csv", "--out file/o.csv: file is a file, not a folder."),
        ("file/a/b/o.csv", "--out file/a/b/o.csv: file is a file, not a folder."),
        ("fifo", "--out fifo: it is not a regular file. Choose another name."),
        ("circle/o.csv", "its symbolic links form a loop. Choose another place."),
        ("nowhere/o.csv", "--out nowhere/o.csv: nowhere is a broken link."),
        (f"{LONG}.csv", "a.csv: the name is too long. Choose another place."),
        (f"new/{LONG}.csv", "a.csv: the name is too long. Choose another place."),
    ],
)
def test_files_that_cannot_be_written(place: Path, path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_output_file(path)


@pytest.mark.parametrize("path", ["o.csv", "folder/o.csv", "a/b/o.csv", "file", "run/new.json"])
def test_files_that_can_be_written(place: Path, path: str) -> None:
    before = sorted(place.rglob("*"))
    check_output_file(path, inputs=["run", "missing", "folder"])
    check_output_file(None)
    assert sorted(place.rglob("*")) == before


def test_a_name_has_its_suffix(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"--table o\.txt: the name must end in \.csv or \.md\."):
        check_output_file("o.txt", "--table", (".csv", ".md"))


@pytest.mark.parametrize("given", ["file", "./file", "folder/../file"])
def test_an_input_is_not_overwritten(place: Path, given: str) -> None:
    with pytest.raises(ConfigError, match=r"file: it is also an input\. Choose another name\."):
        check_output_file(given, inputs=["folder", "file"])


def test_the_record_of_a_run_is_not_overwritten(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"run/results\.json: it is also an input"):
        check_output_file("run/results.json", inputs=["run"])


def test_files_are_given_once(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"--table a\.md: given twice"):
        check_output_files(["a.md", "b.md", "./a.md"], "--table")
    check_output_files(["a.md", "b.md"], "--table")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file", "--out file: it is a file. Give a folder."),
        ("file/f", "--out file/f: file is a file, not a folder."),
        ("circle/new", "its symbolic links form a loop"),
        ("circle", "--out circle: circle is a broken link."),
        ("nowhere", "--out nowhere: nowhere is a broken link."),
        (LONG, "the name is too long"),
        (f"new/{LONG}", "the name is too long"),
    ],
)
def test_folders_that_cannot_be_written(place: Path, path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_output_folder(path)


@pytest.mark.parametrize("path", ["folder", "new", "new/deeper/still", "folder/new", "run"])
def test_folders_that_can_be_written(place: Path, path: str) -> None:
    before = sorted(place.rglob("*"))
    check_output_folder(path)
    check_output_folder(None)
    assert sorted(place.rglob("*")) == before


def test_a_new_folder_is_empty(place: Path) -> None:
    check_new_folder("folder")
    check_new_folder("new")
    with pytest.raises(ConfigError, match=r"^run already exists and is not empty\. Choose a new"):
        check_new_folder("run")


@pytest.mark.parametrize("check", [check_output_file, check_output_folder])
def test_a_full_disk_and_a_folder_without_permission(
    place: Path, monkeypatch: pytest.MonkeyPatch, check: Callable[[str], None]
) -> None:
    class Full:
        def __init__(self, dir: Path) -> None:  # noqa: A002  as it is called
            self.folder = dir

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

        def write(self, content: bytes) -> None:
            assert len(content) == paths.PROBE

    with monkeypatch.context() as patch:
        patch.setattr(paths.tempfile, "TemporaryFile", Full)
        with pytest.raises(ConfigError, match=r"--out new: the disk is full\. Choose another"):
            check("new")

    def denied(dir: Path) -> None:  # noqa: A002  as it is called
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(paths.tempfile, "TemporaryFile", denied)
    with pytest.raises(ConfigError, match=r"--out new: permission denied\. Choose another"):
        check("new")


def test_a_protected_file(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths.os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(ConfigError, match=r"--out file: the file is write-protected"):
        check_output_file("file")


def test_a_closed_output(monkeypatch: pytest.MonkeyPatch) -> None:
    check_output_is_open("Give --out.")
    monkeypatch.setattr(sys, "stdout", ClosedOutput())
    with pytest.raises(ConfigError, match=r"^standard output is closed\. Give --out\.$"):
        check_output_is_open("Give --out.")


def test_a_checkpoint_is_found_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    for name in ("last", "exp_0"):
        (folder / f"{name}.pth").touch()
    assert named_checkpoint("model.onnx", None) == "model.onnx"
    assert named_checkpoint(tmp_path, "exp_0") == folder / "exp_0.pth"
    assert named_checkpoint(str(tmp_path), "last.pth") == folder / "last.pth"
    message = r"best: .* no such file\. It is written where there are validation.*exp_0, last\."
    with pytest.raises(ConfigError, match=message):
        named_checkpoint(tmp_path, "best")
    with pytest.raises(ConfigError, match=r"--checkpoint exp_7: .* There are: exp_0, last\."):
        named_checkpoint(tmp_path, "exp_7")
    with pytest.raises(ConfigError, match=r"last\.pth is no work_dir .* the file itself without"):
        named_checkpoint(folder / "last.pth", "best")
