"""Commands run in parallel processes, which are asked to stop before they are killed."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cliqa.engine.interrupts import Interrupted
from cliqa.studies.backends.commands import GRACE, POLL, RESUME, Command, OnEnd, noted_signals
from cliqa.utils.arguments import check_at_least
from cliqa.utils.processes.group import single
from cliqa.utils.system.python_process import with_package


class _Running(NamedTuple):
    """A running process, and the number of its command."""

    place: int
    process: subprocess.Popen[bytes]


def cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Local:
    """Runs commands as processes of this machine, at most `jobs` at a time.

    Each runs in a session of its own: Ctrl-C on the terminal reaches this process alone, which
    sends SIGTERM to all of them, once, and waits; a second Ctrl-C kills them.

    Args:
        jobs: How many at a time.
        environment: Variables to set or replace. ``OMP_NUM_THREADS``, unless it is set, becomes an
            equal share of the processors.

    Raises:
        ConfigError: `jobs` is below 1.
    """

    def __init__(self, jobs: int = 1, environment: Mapping[str, str] | None = None) -> None:
        check_at_least(1, "--jobs", jobs)
        self.parallel = jobs
        threads = {"OMP_NUM_THREADS": str(max(1, cores() // jobs))}
        self._variables = with_package({**threads, **single(os.environ), **(environment or {})})

    def run(self, commands: Sequence[Command], on_end: OnEnd) -> None:
        """See `Backend.run`."""
        waiting = list(enumerate(commands))
        running: list[_Running] = []
        with noted_signals() as signals:
            try:
                while (waiting or running) and not signals:
                    while waiting and len(running) < self.parallel:
                        place, command = waiting.pop(0)
                        running.append(_Running(place, _start(command, self._variables)))
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


def _without_ended(running: Sequence[_Running], on_end: OnEnd) -> list[_Running]:
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
