"""Functions run in several processes at once, as ``torchrun`` would start them."""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from perf.processes import free_port, start_joined, variables

PATIENCE = 120.0
"""Seconds after which processes that wait for each other are stopped."""


def in_processes(count: int, work: Callable[[], Any]) -> list[Any]:
    """Return what a function returns in each of several processes that are joined.

    They are copies of this one, so the function may be any, and what it returns is pickled.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(rank) for rank in range(count)]
        started = [
            start_joined(variables(rank, count, port), partial(_tell, work, file))
            for rank, file in enumerate(files)
        ]
        statuses = _waited(started)
        found = [pickle.loads(f.read_bytes()) if f.is_file() else None for f in files]
    trouble = [str(part) for part in found if isinstance(part, _Trouble)]
    assert not trouble, "\n".join(trouble)
    assert statuses == [0] * count, statuses
    return found


class _Trouble(str):
    """The traceback of a process."""

    __slots__ = ()


def _tell(work: Callable[[], Any], file: Path) -> None:
    """Write what a process's work returns, or what stopped it."""
    try:
        file.write_bytes(pickle.dumps(work()))
    except BaseException:
        file.write_bytes(pickle.dumps(_Trouble(traceback.format_exc())))
        raise


def _waited(processes: list[int]) -> list[int | None]:
    """Wait for processes, and return their exit statuses; stop them all when time is up."""
    ended: dict[int, int] = {}
    until = time.monotonic() + PATIENCE
    while len(ended) < len(processes):
        for process in processes:
            if process not in ended:
                found, status = os.waitpid(process, os.WNOHANG)
                if found:
                    ended[process] = os.waitstatus_to_exitcode(status)
        if time.monotonic() > until or any(ended.values()):
            time.sleep(0.5)  # others tell what happened to them
            for process in processes:
                if process not in ended:
                    os.kill(process, signal.SIGKILL)
            until = float("inf")
        time.sleep(0.01)
    return [ended.get(process) for process in processes]
