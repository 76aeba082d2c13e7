"""Functions run in several processes at once, as ``torchrun`` would start them."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from cliqa.utils.processes.group import joined

PATIENCE = 120.0
"""Seconds after which processes that wait for each other are stopped."""


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def variables(rank: int, count: int, port: int) -> dict[str, str]:
    """Return what ``torchrun`` sets for a process on one machine."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def in_processes(count: int, work: Callable[[], Any]) -> list[Any]:
    """Return what a function returns in each of several processes that are joined.

    They are copies of this one, so the function may be any, and what it returns is pickled.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / str(rank) for rank in range(count)]
        started = []
        sys.stdout.flush()
        sys.stderr.flush()
        for rank, file in enumerate(files):
            process = os.fork()
            if process == 0:
                _work(variables(rank, count, port), work, file)
            started.append(process)
        statuses = _waited(started)
        found = [pickle.loads(f.read_bytes()) if f.is_file() else None for f in files]
    trouble = [str(part) for part in found if isinstance(part, _Trouble)]
    assert not trouble, "\n".join(trouble)
    assert statuses == [0] * count, statuses
    return found


class _Trouble(str):
    """The traceback of a process."""

    __slots__ = ()


def _work(environment: dict[str, str], work: Callable[[], Any], file: Path) -> None:
    """Do the work of one process, and end it."""
    status = 1
    try:
        os.environ.update(environment)
        torch.set_num_threads(1)
        with joined("cpu"):
            file.write_bytes(pickle.dumps(work()))
        status = 0
    except BaseException:  # noqa: BLE001  it is told by the process that waits
        file.write_bytes(pickle.dumps(_Trouble(traceback.format_exc())))
    finally:
        os._exit(status)


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
