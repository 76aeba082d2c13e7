"""Commands run in parallel processes, which are asked to stop before they are killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from cliqa.engine.interrupts import Interrupted

POLL = 0.1
"""Seconds between two looks at the processes."""

GRACE = 60.0
"""Seconds that a process which was asked to stop may take to write what it holds."""


RESUME = "the same command continues where it was stopped"


@dataclass(frozen=True)
class Command:
    """A program with its arguments, and the file that takes its output (and is overwritten)."""

    arguments: tuple[str, ...]
    log: Path


class _Running(NamedTuple):
    """A running process, and the number of its command."""

    place: int
    process: subprocess.Popen[bytes]


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_commands(
    commands: Sequence[Command],
    jobs: int,
    on_end: Callable[[int, int], None],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run commands, at most `jobs` at a time, in their order.

    Each runs in a session of its own: Ctrl-C on the terminal reaches this process alone, which
    sends SIGTERM to all of them, once, and waits; a second Ctrl-C kills them.

    Args:
        commands: What to run.
        jobs: How many at a time, >= 1.
        on_end: Called with a command's index and its exit status as soon as it has ended.
        environment: Variables to set or replace. ``OMP_NUM_THREADS``, unless it is set, becomes an
            equal share of the processors.

    Raises:
        Interrupted: SIGINT or SIGTERM came.
    """
    threads = max(1, cores() // jobs)
    variables = {"OMP_NUM_THREADS": str(threads), **os.environ, **(environment or {})}
    waiting = list(enumerate(commands))
    running: list[_Running] = []
    with _noted_signals() as signals:
        try:
            while (waiting or running) and not signals:
                while waiting and len(running) < jobs:
                    place, command = waiting.pop(0)
                    running.append(_Running(place, _start(command, variables)))
                running = _without_ended(running, on_end)
                time.sleep(POLL if running else 0)
        finally:
            _end([part.process for part in running], signals)
        if signals:
            raise Interrupted(signals[0], RESUME)


def _start(command: Command, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command with its output in its log."""
    command.log.parent.mkdir(parents=True, exist_ok=True)
    with command.log.open("wb") as log:
        return subprocess.Popen(
            command.arguments,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            start_new_session=True,
        )


def _without_ended(
    running: Sequence[_Running], on_end: Callable[[int, int], None]
) -> list[_Running]:
    """Report the processes that have ended, and return the others."""
    left = []
    for part in running:
        status = part.process.poll()
        if status is None:
            left.append(part)
        else:
            on_end(part.place, status)
    return left


def _end(processes: Sequence[subprocess.Popen[bytes]], signals: Sequence[int]) -> None:
    """Ask processes to stop, wait, and kill what has not stopped in time or after a second signal.

    `signals` are those that have come so far; it grows as they come.
    """
    before, deadline = len(signals), time.monotonic() + GRACE
    for process in processes:
        process.terminate()
    while any(process.poll() is None for process in processes):
        if len(signals) > before or time.monotonic() > deadline:
            for process in processes:
                process.kill()
                process.wait()
            return
        time.sleep(POLL)


@contextlib.contextmanager
def _noted_signals() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM inside the block instead of being interrupted anywhere in it.

    A process that was just started is never lost that way. Outside the main thread, where signals
    cannot be handled, the list stays empty.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(signum: int, _: FrameType | None) -> None:
        noted.append(signum)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
