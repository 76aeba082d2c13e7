"""Locks on open files, also where there are none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cliqa.utils import locks
from cliqa.utils.io import folder_lock

pytestmark = pytest.mark.skipif(not locks.AVAILABLE, reason="the system has no such locks")


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
