"""A run in a process of its own, killed at random moments and gone on with."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import psutil
import torch

from perf.soak.compare import differences

Work = Callable[[Path], None]
"""Begins a run in a folder, or goes on with it; it is called in a process of its own."""

GRACE = 60.0
"""Seconds that a process which was asked to stop may take."""

LONGEST = 600.0
"""Seconds after which a run is taken to hang."""


@dataclass
class Series:
    """What became of one run that was killed again and again.

    Attributes:
        name: The case.
        seed: Of the moments.
        moments: Seconds after its start at which each process was to be killed.
        signals: With what.
        hits: How many of the kills came before the run had ended.
        differences: To a run that was not killed.
    """

    name: str
    seed: int
    moments: list[float] = field(default_factory=list)
    signals: list[int] = field(default_factory=list)
    hits: int = 0
    differences: list[str] = field(default_factory=list)

    def to_row(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def start(work: Work, folder: Path, log: Path) -> int:
    """Start a run in a forked process, its output in a log, and return its number."""
    child = os.fork()
    return child or _work(work, folder, log)


def _work(work: Work, folder: Path, log: Path) -> NoReturn:
    """Do the work of the child, which ends here."""
    status = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = sys.stderr = os.fdopen(output, "w", buffering=1)
        torch.set_num_threads(1)
        work(folder)
        status = 0
    except KeyboardInterrupt:
        status = 128 + signal.SIGTERM
    except BaseException:  # noqa: BLE001  the log tells it, whatever it is
        traceback.print_exc()
    finally:
        os._exit(status)


def end(child: int, seconds: float, number: int = signal.SIGKILL, tree: bool = False) -> int | None:
    """Wait for a process, and end it with a signal after so many seconds.

    Args:
        child: Its number.
        seconds: How long it may take.
        number: The signal.
        tree: With SIGKILL all processes that it has started end too, as when a machine dies.

    Returns:
        Its exit status, < 0 for a signal's; None if the signal was sent.

    Raises:
        RuntimeError: It was asked to stop and did not.
    """
    status = _wait(child, seconds)
    if status is not None:
        return status
    own = (
        psutil.Process(child).children(recursive=True) if tree and number == signal.SIGKILL else []
    )
    os.kill(child, number)
    for process in own:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    if _wait(child, GRACE) is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise RuntimeError(f"signal {number} did not stop it within {GRACE:.0f} s")
    return None


def _wait(child: int, seconds: float) -> int | None:
    """Return a process's exit status, None if it has not ended within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(0.01, left))


def reference(work: Work, folder: Path) -> float:
    """Do a run without kills, unless it is there, and return how long it took.

    Raises:
        RuntimeError: It failed.
    """
    lasted = folder.with_suffix(".seconds")
    if not lasted.exists():
        shutil.rmtree(folder, ignore_errors=True)
        log = folder.with_suffix(".log")
        started = time.monotonic()
        status = end(start(work, folder, log), LONGEST)
        if status != 0:
            raise RuntimeError(f"the run without kills ended with {status}; see {log}")
        lasted.write_text(str(time.monotonic() - started))
    return float(lasted.read_text())


def torn(
    name: str, work: Work, folder: Path, seed: int, kills: int, *, tree: bool = False
) -> Series:
    """Kill a run at random moments, go on with it, and compare it with one that was not killed.

    Both are done in ``folder/run``, for paths stand in files; the first one is kept as
    ``folder/whole``, and one that differs as ``folder/torn_SEED``.

    Args:
        name: The case.
        work: The run.
        folder: The case's own.
        seed: Of the moments.
        kills: How many at most; a run may end before.
        tree: It starts processes that are to end with it.

    Raises:
        RuntimeError: The run without kills failed, or a signal did not stop one.
    """
    whole, run, log = folder / "whole", folder / "run", folder / f"torn_{seed}.log"
    if not whole.exists():
        folder.mkdir(parents=True, exist_ok=True)
        reference(work, run)
        run.rename(whole)
    series = Series(name, seed)
    _kill(series, work, run, log, kills, tree)
    if not series.differences:
        series.differences = differences(whole, run)
    if series.differences and run.exists():
        run.rename(folder / f"torn_{seed}")
    for left in folder.glob("run*"):
        if left.is_dir():
            shutil.rmtree(left)
    return series


def _kill(series: Series, work: Work, run: Path, log: Path, kills: int, tree: bool) -> None:
    """Kill a run at random moments, and go on with it to its end."""
    chance = random.Random(f"{series.name} {series.seed}")
    lasted = reference(work, run)  # it is there already
    for attempt in range(kills):
        moment = chance.uniform(0.0, lasted) * 0.8**attempt
        number = signal.SIGTERM if chance.random() < 0.2 else signal.SIGKILL
        series.moments.append(round(moment, 3))
        series.signals.append(int(number))
        status = end(start(work, run, log), moment, number, tree)
        if status is not None:
            break
        series.hits += 1
    else:
        status = end(start(work, run, log), LONGEST)
    if status != 0:
        series.differences.append(f"could not go on: ended with {status}; see {log}")
