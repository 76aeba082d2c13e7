"""Processes that are joined as ``torchrun`` joins them: copies of this one, for any function."""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping

import torch

from cliqa.utils.processes.group import joined


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


def start_joined(environment: Mapping[str, str], work: Callable[[], object]) -> int:
    """Start a copy of this process that joins others and does some work; return its number.

    It computes with one thread, and ends with the status 0, or with 1 after an error, which it
    tells on standard error.

    Args:
        environment: Of `variables`.
        work: What it does.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.environ.update(environment)
        torch.set_num_threads(1)
        with joined("cpu"):
            work()
        status = 0
    except BaseException:  # noqa: BLE001  it is told, whatever it is
        traceback.print_exc()
    finally:
        os._exit(status)
