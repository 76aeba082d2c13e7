"""Tests of cliqa.utils.locks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cliqa.utils import locks
from cliqa.utils.io import atomic_open, write_text
from cliqa.utils.locks import folder_lock, remove_leftovers, temporary_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="locks and forks need POSIX")
NAMES = ("last.pth", "exp_*.pth")


def test_a_file_is_locked_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w") as first, path.open() as second:
        assert locks.lock(first) is True
        assert locks.lock(second) is False
    with path.open() as third:
        assert locks.lock(third, wait=True) is True


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF])
def test_a_file_system_without_locks_stops_nobody_and_says_so(
    tmp_path: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with (tmp_path / "file").open("w") as file:
        assert locks.lock(file) is None
    with folder_lock(tmp_path) as held:
        assert held
    assert "this file system has no locks; start one process at a time in it" in caplog.text


NAMES = ("last.pth", "exp_*.pth")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="locks and forks are POSIX's")


def test_a_folder_is_held_once_and_free_again(tmp_path: Path) -> None:
    with folder_lock(tmp_path) as first, folder_lock(tmp_path) as second:
        assert (first, second) == (True, False)
    with folder_lock(tmp_path) as again:
        assert again


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time; from cliqa.utils.locks import folder_lock\n"
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


def killed(work: Callable[[], None]) -> None:
    """Do something in a process that is killed at its end."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def hidden(folder: Path) -> list[str]:
    """Return the names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path) -> None:
    def write_half() -> None:
        with atomic_open(tmp_path / "last.pth") as file:
            file.write("half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    killed(write_half)
    assert len(hidden(tmp_path)) == 1
    remove_leftovers(tmp_path, "results.json")
    assert len(hidden(tmp_path)) == 1
    remove_leftovers(tmp_path, *NAMES)
    assert hidden(tmp_path) == []


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with atomic_open(tmp_path / "exp_0.pth") as file:
        remove_leftovers(tmp_path, *NAMES)
        file.write("whole")
    assert (tmp_path / "exp_0.pth").read_text() == "whole"


@pytest.mark.parametrize(
    "name",
    [
        ".notes.tmp",
        ".last.pth.tmp",
        ".last.pth.link",
        ".last.pth.backup.tmp",
        ".last.pth.Backup12.tmp",
        ".notes.txt.a1b2c3d4.tmp",
        "last.pth.a1b2c3d4.tmp",
        ".my_exp_0.pth.a1b2c3d4.tmp",
        ".last.pth.a1b2c3d4.lock",
    ],
)
def test_hidden_files_of_others_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    (tmp_path / ".last.pth.a1b2c3d4.tmp").mkdir()  # a folder is none of ours
    remove_leftovers(tmp_path, *NAMES)
    assert name in hidden(tmp_path)
    assert (tmp_path / ".last.pth.a1b2c3d4.tmp").is_dir()


def test_where_there_are_no_locks_nothing_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".last.pth.a1b2c3d4.tmp").touch()
    (tmp_path / ".demo.a1b2c3d4.lock").touch()
    (tmp_path / ".demo.a1b2c3d4.tmp").mkdir()
    monkeypatch.setattr(locks, "lock", lambda *_, **__: None)
    remove_leftovers(tmp_path, *NAMES)
    with temporary_folder(tmp_path / "demo") as folder:
        assert folder.is_dir()
    assert len(hidden(tmp_path)) == 3


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_taken_for_a_leftover_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Both sides hold the lock when they look: the writer sees that its file has gone."""
    lock = locks.lock

    def late(file: int, *, wait: bool = False) -> bool | None:
        monkeypatch.setattr(locks, "lock", lock)
        remove_leftovers(tmp_path, "last.pth")
        if kind == "folder":
            with temporary_folder(tmp_path / "demo"):
                pass
        assert hidden(tmp_path) == []
        return lock(file, wait=wait)

    monkeypatch.setattr(locks, "lock", late)
    if kind == "file":
        write_text(tmp_path / "last.pth", "whole")
        assert (tmp_path / "last.pth").read_text() == "whole"
    else:
        with temporary_folder(tmp_path / "demo") as folder:
            assert folder.is_dir()
            assert len(hidden(tmp_path)) == 2
    assert locks.lock is lock


def test_a_killed_writer_s_folder_goes_and_another_one_stays(tmp_path: Path) -> None:
    demo = tmp_path / "demo"

    def fill_half() -> None:
        with temporary_folder(demo) as folder:
            (folder / "half.txt").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(2):
        killed(fill_half)
        assert len(hidden(tmp_path)) == 2  # of the first one nothing is left
    users = tmp_path / ".demo.a1b2c3d4.tmp"  # without the lock of that name, it is none of ours
    users.mkdir()
    with temporary_folder(demo) as first, temporary_folder(demo) as second:
        assert first != second
        assert len([name for name in hidden(tmp_path) if name.endswith(".tmp")]) == 3
        first.rename(demo)
    assert hidden(tmp_path) == [".demo.a1b2c3d4.tmp", "demo"]


def test_who_finishes_cleans_up_after_those_who_were_killed_meanwhile(tmp_path: Path) -> None:
    def fill_half() -> None:
        with temporary_folder(tmp_path / "demo"):
            os.kill(os.getpid(), signal.SIGKILL)

    with temporary_folder(tmp_path / "demo") as folder:
        killed(fill_half)
        assert len(hidden(tmp_path)) == 4
        folder.rename(tmp_path / "demo")
    assert hidden(tmp_path) == ["demo"]


def test_a_child_does_not_keep_its_parent_s_folder_alive(tmp_path: Path) -> None:
    read, write = os.pipe()

    def start_a_child() -> None:
        with temporary_folder(tmp_path / "demo"):
            child = os.fork()
            if child == 0:
                os.close(read)
                signal.pause()
            os.write(write, str(child).encode())
            os.kill(os.getpid(), signal.SIGKILL)

    killed(start_a_child)
    child = int(os.read(read, 32))
    try:
        with temporary_folder(tmp_path / "demo"):
            assert len(hidden(tmp_path)) == 2
    finally:
        os.kill(child, signal.SIGKILL)


def test_names_are_read_as_they_are(tmp_path: Path) -> None:
    odd = tmp_path / "a[1].b*"

    def begin() -> None:
        with temporary_folder(odd):
            os.kill(os.getpid(), signal.SIGKILL)

    killed(begin)
    assert len(hidden(tmp_path)) == 2
    with temporary_folder(odd) as folder:
        folder.rename(odd)
    assert hidden(tmp_path) == ["a[1].b*"]
