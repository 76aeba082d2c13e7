"""Tests of cliqa.utils.io."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.utils.io import (
    atomic_open,
    folder_lock,
    replace_by_link,
    write_json,
    write_jsonl,
    write_npz,
    write_text,
)


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


@pytest.mark.skipif(os.name != "posix", reason="the lock is POSIX's")
def test_a_folder_is_held_once_and_free_again(tmp_path: Path) -> None:
    with folder_lock(tmp_path) as first, folder_lock(tmp_path) as second:
        assert (first, second) == (True, False)
    with folder_lock(tmp_path) as again:
        assert again


@pytest.mark.skipif(os.name != "posix", reason="the lock is POSIX's")
def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time; from cliqa.utils.io import folder_lock\n"
        "with folder_lock(sys.argv[1]) as held:\n    print(held, flush=True)\n    time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        with folder_lock(tmp_path) as held:
            assert not held
        process.kill()
    with folder_lock(tmp_path) as held:
        assert held


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_killed_process_leaves_no_lock_to_its_children(tmp_path: Path) -> None:
    """A killed run's loader workers live on for seconds; the run must be resumable at once."""
    read, write = os.pipe()
    parent = os.fork()
    if parent == 0:  # takes the lock and has a child that outlives it
        with folder_lock(tmp_path) as held:
            worker = os.fork()
            if worker == 0:
                time.sleep(60)
                os._exit(0)
            os.write(write, f"{int(held)} {worker}".encode())
            time.sleep(60)
        os._exit(0)
    locked, worker = map(int, os.read(read, 64).split())
    try:
        assert locked
        with folder_lock(tmp_path) as free:
            assert not free
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        os.kill(worker, 0)  # it is still there
        with folder_lock(tmp_path) as free:
            assert free
    finally:
        os.kill(worker, signal.SIGKILL)
