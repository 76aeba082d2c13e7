"""Files of a model that may be downloaded: those of its own folder alone."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from cliqa.app.tabs.compress_forms import _copy, _file_of, _notes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of files, and of links to a secret."""
    (tmp_path / "secret").write_text("secret")
    made = tmp_path / "deploy"
    made.mkdir()
    (made / "a.onnx").write_text("model")
    (made / "b.xml").write_text("network")
    (made / "c.onnx").symlink_to(tmp_path / "secret")
    return made


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "c.onnx", "", None, ".", "..", "no"])
def test_no_other_file_can_be_had(folder: Path, name: str | None) -> None:
    assert _file_of(folder, {"file": name}) is None


def test_a_folder_that_is_a_link_has_no_files(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)
    assert _file_of(folder, {"file": "/elsewhere/a.onnx"}) == folder / "a.onnx"
    assert _file_of(folder.parent / "link", {"file": "a.onnx"}) is None


def test_a_file_is_copied_once(folder: Path) -> None:
    cache = folder.parent / "cache"
    first, again = (_copy(folder / "a.onnx", str(cache)) for _ in range(2))
    assert first == again
    assert Path(first).read_text() == "model"
    assert [path for path in cache.rglob("*") if path.is_file()] == [Path(first)]


def test_openvinos_two_files_are_an_archive_unless_one_is_a_link(folder: Path) -> None:
    cache = str(folder.parent / "cache")
    weights = folder / "b.bin"
    weights.symlink_to(folder.parent / "secret")
    assert Path(_copy(folder / "b.xml", cache)).read_text() == "network"
    weights.unlink()
    weights.write_text("weights")
    archive = _copy(folder / "b.xml", cache)
    assert archive == _copy(folder / "b.xml", cache)
    with zipfile.ZipFile(archive) as file:
        assert {name: file.read(name) for name in file.namelist()} == {
            "b.xml": b"network",
            "b.bin": b"weights",
        }


def test_how_a_file_was_quantized_reads_as_no_choice_among_files() -> None:
    rows = [
        {"key": "a-int8", "note": "chosen: uint8, in float the <head>"},
        {"key": "b", "note": ""},
        {"key": "c", "note": "cannot be written"},
    ]
    found = _notes({"rows": rows})
    assert "<li>a-int8: uint8, in float the &lt;head&gt;</li><li>c: cannot be written</li>" in found
    assert _notes({"rows": rows[1:2]}) == ""
