"""Processes of jobs: recognized by their session, ended with their helpers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cliqa.app.queue.process import end_process, launched, may_be, opened_at_end
from cliqa.utils.locks import is_locked, lock
from tests.app.queue.conftest import until

HELPED = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
print("ready", flush=True)
sys.stdin.close()
import time; time.sleep(60)
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs groups of processes")


def test_who_is_killed_takes_the_helpers_along(tmp_path: Path) -> None:
    place = tmp_path / "lock"
    with opened_at_end(place) as held, opened_at_end(tmp_path / "log") as log:
        assert lock(held)
        process = launched(["-c", HELPED], log, held)
    until(lambda: "ready" in (tmp_path / "log").read_text())
    assert is_locked(place)
    assert may_be(process.pid)
    end_process(process.pid, kill=False)
    assert process.wait() == -15
    assert is_locked(place)  # a helper lives
    assert may_be(process.pid)
    end_process(process.pid, kill=True)
    until(lambda: not is_locked(place))
    end_process(process.pid, kill=True)  # nobody is left


def test_other_processes_are_not_taken_for_one() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        assert not may_be(other.pid)
        other.kill()
    assert not may_be(None)


def test_only_files_are_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no regular file"):
        opened_at_end(tmp_path)
