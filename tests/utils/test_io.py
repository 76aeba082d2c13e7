"""Tests of cliqa.utils.io."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from cliqa.utils import io as cliqa_io
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.io import (
    atomic_open,
    replace_by_link,
    to_json,
    write_json,
    write_jsonl,
    write_npz,
    write_text,
)
from cliqa.visualization.style import new_figure, save_figure


def test_writes_text_and_bytes_and_makes_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "text.txt", "grün\n")
    with atomic_open(tmp_path / "a" / "bytes", "wb") as file:
        file.write(b"\x00\xff")
    assert (tmp_path / "a" / "b" / "text.txt").read_bytes() == "grün\n".encode()
    assert (tmp_path / "a" / "bytes").read_bytes() == b"\x00\xff"


def test_a_crash_inside_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    write_text(path, "old")

    def write_half() -> None:
        with atomic_open(path) as file:
            file.write("half of the new con")
            file.flush()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["results.json"]


def test_a_crash_inside_the_block_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="crash"), atomic_open(tmp_path / "new"):
        raise RuntimeError("crash")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_the_old_file_until_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with atomic_open(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_files_are_as_readable_as_other_new_files(tmp_path: Path) -> None:
    write_text(tmp_path / "atomic", "")
    (tmp_path / "plain").write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("atomic", "plain")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("mode", ["a", "r", "w+", "wt"])
def test_other_modes_are_refused(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match=r"mode must be 'w', 'wb' or 'w\+b', got"):
        atomic_open(tmp_path / "x", mode).__enter__()


def test_json_round_trip(tmp_path: Path) -> None:
    value = {"srcc": [[0.5, None]], "name": "grün"}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert "grün" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_refuses_what_other_programs_cannot_read(tmp_path: Path, number: float) -> None:
    write_json(tmp_path / "x.json", {"old": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"srcc": number})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_jsonl(tmp_path / "x.json", [{"srcc": number}])
    assert json.loads((tmp_path / "x.json").read_text()) == {"old": 1}


def test_jsonl_has_a_row_a_line(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"a": 1}, {"b": "two\nlines"}]
    write_jsonl(tmp_path / "x.jsonl", iter(rows))
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows


def test_npz_round_trip(tmp_path: Path) -> None:
    scores = np.array([0.25, np.nan])
    write_npz(tmp_path / "x.npz", prediction=scores, image=np.array(["a.jpg", "b.jpg"]))
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["prediction"], scores)
        assert found["image"].tolist() == ["a.jpg", "b.jpg"]


def test_a_link_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "exp_1.pth").write_bytes(b"new")
    (tmp_path / "last.pth").write_bytes(b"old")
    replace_by_link(tmp_path / "exp_1.pth", tmp_path / "last.pth")
    assert (tmp_path / "last.pth").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp_1.pth", "last.pth"]


def test_a_link_to_the_same_file_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "exp_1.pth").write_bytes(b"new")
    for _ in range(2):
        replace_by_link(tmp_path / "exp_1.pth", tmp_path / "last.pth")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp_1.pth", "last.pth"]


def test_a_copy_replaces_a_file_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "exp_1.pth").write_bytes(b"new")
    replace_by_link(tmp_path / "exp_1.pth", tmp_path / "last.pth")
    assert (tmp_path / "last.pth").read_bytes() == b"new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exp_1.pth", "last.pth"]


class Disk(cliqa_io._Raw):
    """A file on a disk on which `left` bytes are left."""

    left = 0
    number = errno.ENOSPC

    def write(self, content: Any) -> int:
        """Write what there is room for; what is no room for fails, as on a disk."""
        try:
            if not Disk.left:
                raise OSError(Disk.number, os.strerror(Disk.number))
        except OSError as error:
            self.failure = error
            raise
        written = io.FileIO.write(self, memoryview(content).cast("B")[: Disk.left])
        Disk.left -= written
        return written


STATE = {"weight": torch.zeros(900), "rows": [{"a": 1, "b": "x"}]}
WRITERS: dict[str, Callable[[Path], object]] = {
    "pth": lambda path: save_checkpoint(path, STATE),
    "npz": lambda path: write_npz(path, a=np.random.default_rng(0).random(500), b=np.zeros(9)),
    "json": lambda path: write_json(path, list(range(3000))),
    "jsonl": lambda path: write_jsonl(path, ({"a": k} for k in range(1000))),
    "txt": lambda path: write_text(path, "text\n" * 3000),
    "png": lambda path: save_figure(_figure(), path, 40),
    "svg": lambda path: save_figure(_figure(), path),
}


def _figure() -> Figure:
    figure = new_figure(2, 2)
    figure.add_subplot().plot([1, 2, 3], [3, 1, 2])
    return figure


@pytest.mark.parametrize(
    ("suffix", "number"),
    [*((suffix, errno.ENOSPC) for suffix in WRITERS), ("txt", errno.EDQUOT), ("txt", errno.EFBIG)],
)
def test_on_a_full_disk_the_old_file_stays_and_the_error_names_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    suffix: str,
    number: int,
) -> None:
    path = tmp_path / f"file.{suffix}"
    WRITERS[suffix](path)
    old, size = path.read_bytes(), path.stat().st_size
    monkeypatch.setattr(cliqa_io, "_Raw", Disk)
    Disk.number = number
    for left in {0, 1, 63, size // 3, size // 2, size - 200, size - 23, size - 1}:
        Disk.left = left
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            WRITERS[suffix](path)
        assert (caught.value.errno, caught.value.filename) == (number, str(path))
        assert path.read_bytes() == old
        assert [found.name for found in tmp_path.iterdir()] == [path.name]
    Disk.left = 2 * size  # a .npz writes some bytes twice
    WRITERS[suffix](path)
    assert path.stat().st_size == size
    assert capfd.readouterr() == ("", "")


def test_a_disk_that_is_full_when_the_file_is_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    write_text(tmp_path / "x", "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as caught:
            write_text(tmp_path / "x", "new")
    assert caught.value.filename == str(tmp_path / "x")
    assert (tmp_path / "x").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_open(tmp_path / "x", "wb") as file:
        file.write((tmp_path / "missing").read_bytes())
    assert caught.value.filename == str(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    with pytest.raises(OSError, match="directory") as caught:
        write_text(tmp_path / "x", "new")
    assert caught.value.filename == str(tmp_path / "x")
    assert [found.name for found in tmp_path.iterdir()] == ["x"]


def test_the_longest_name_that_a_file_system_takes(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 251}.txt"
    write_text(path, "x")
    assert path.read_text() == "x"


NAME = b"caf\xe9 \xe5\x9b\xbe.png".decode("utf-8", "surrogateescape")


def test_a_name_that_is_no_utf8_keeps_its_bytes_in_text(tmp_path: Path) -> None:
    write_text(tmp_path / "names", f"{NAME}\n")
    assert (tmp_path / "names").read_bytes() == b"caf\xe9 \xe5\x9b\xbe.png\n"


def test_json_of_such_a_name_is_valid_and_gives_the_name_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"image": NAME})
    write_jsonl(tmp_path / "x.jsonl", [{"image": NAME}])
    for name in ("x.json", "x.jsonl"):
        text = (tmp_path / name).read_bytes().decode("utf-8")
        assert json.loads(text) == {"image": NAME}
        assert "图" in text
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(float("nan"))
    assert to_json([float("nan")], allow_nan=True) == "[NaN]"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_meanwhile_does_not_hold_the_file(tmp_path: Path) -> None:
    with atomic_open(tmp_path / "a.txt") as file:
        child = os.fork()
        if not child:
            try:
                os.fstat(file.fileno())
            except (OSError, ValueError):
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        file.write("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"
