"""What a backend runs, and what every backend can do."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol, TypeAlias

import cliqa
from cliqa.utils.processes.signals import ending_signals

RESUME = "the same command continues where it was stopped"

POLL = 0.1
"""Seconds between two looks at the processes."""

GRACE = 60.0
"""Seconds that a run which was asked to stop may take to write what it holds."""

Program: TypeAlias = "Sequence[str | Path]"
"""What Python runs: a script, or ``-m`` and a module, with its first arguments."""

SAFE = ("-P",) if sys.version_info >= (3, 11) else ()
"""Keeps the current folder from Python's path: a ``random.py`` there would replace Python's own."""

TRAIN: Program = (*SAFE, "-m", "cliqa", "train")
"""Trains a config, wherever the package is installed."""

OnEnd = Callable[[int, int], None]
"""Takes the number of a command that has ended, and its exit status."""


@dataclass(frozen=True)
class Command:
    """A program with its arguments.

    Args:
        arguments: The program, and what it is given.
        log: The file that takes its output (and is overwritten).
        name: What tables call it.
        folder: The work_dir that it writes, which it resumes from; None for none.
        needs: Files of other runs that it reads.
    """

    arguments: tuple[str, ...]
    log: Path
    name: str = ""
    folder: Path | None = None
    needs: tuple[Path, ...] = ()


class Backend(Protocol):
    """Runs commands somewhere."""

    @property
    def parallel(self) -> int:
        """How many runs a search should ask for at a time."""

    def run(self, commands: Sequence[Command], on_end: OnEnd) -> None:
        """Run commands, and wait until all have ended.

        Args:
            commands: What to run; they are started in this order.
            on_end: Called as soon as one has ended.

        Raises:
            Interrupted: SIGINT or SIGTERM came; all that ran have ended.
        """


def with_package(variables: Mapping[str, str]) -> dict[str, str]:
    """Return variables of a process that finds the package, also in a checkout without an install.

    An installed package is found anyway: its folder with everybody's packages must not come before
    Python's own library.
    """
    root = Path(cliqa.__file__).resolve().parents[1]
    if not (root / "pyproject.toml").is_file():
        return dict(variables)
    paths = filter(None, (str(root), variables.get("PYTHONPATH")))
    return {**variables, "PYTHONPATH": os.pathsep.join(paths)}


@contextlib.contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Collect `ending_signals` inside the block instead of being interrupted anywhere in it.

    A process that was just started is never lost that way. Outside the main thread, where signals
    cannot be handled, the list stays empty.
    """
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return

    def note(signum: int, _: FrameType | None) -> None:
        noted.append(signum)

    before = {number: signal.signal(number, note) for number in ending_signals()}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
