"""What a backend runs, and what every backend can do."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from cliqa.utils.system.signals import on_stop

RESUME = "the same command continues where it was stopped"

POLL = 0.1
"""Seconds between two looks at the processes."""

GRACE = 60.0
"""Seconds that a run which was asked to stop may take to write what it holds."""

Program: TypeAlias = "Sequence[str | Path]"
"""What Python runs: a script, or ``-m`` and a module, with its first arguments."""

TRAIN: Program = ("-m", "cliqa", "train")
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


@contextlib.contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Collect `ending_signals` inside the block instead of being interrupted anywhere in it.

    A process that was just started is never lost that way. Outside the main thread, where signals
    cannot be handled, the list stays empty.
    """
    noted: list[int] = []
    with on_stop(noted.append):
        yield noted
