"""Progress of long work: bars on a terminal; lines in pipes, and in the run's log file.

Work is described by nested phases. On a terminal the outermost counted one is a bar of at most 80
columns. Elsewhere a thread writes a line of the innermost one whenever nothing was written for
`progress_lines`' seconds, so that no phase is silent for longer, whatever it does. The thread only
reads counters: results do not depend on it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any, TypeVar

from tqdm import tqdm

from cliqa.utils.processes.group import is_main

T = TypeVar("T")

NAME = "cliqa.progress"
"""The logger of the lines; the console leaves them out where it shows a bar."""

EVERY = 30.0
"""Seconds without any message after which there is a line."""

FIRST = 10.0
"""The same before the first line, which tells how long the work will take."""

COLUMNS = 80
BESIDE_TITLE = 48
"""Widths of a bar, and of what stands beside its title, in characters."""

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"

RATE = ", {rate_noinv_fmt}"

logger = logging.getLogger(NAME)


class Phase:
    """A piece of work in progress; open inside a ``with`` block, or from `begin` to `close`.

    Args:
        title: What is done, e.g. ``"train eva epoch 2/8"``.
        total: How many units it takes; None if that is unknown.
        unit: What is counted, in the singular.
        bar: Show a bar, if standard error is a terminal and no other bar is there.
        outlook: Returns what every line in this phase should say at its end, "" for nothing.
        rate: Say how many units are done in a second.

    Attributes:
        done: Units done.
        note: The state of the work, e.g. ``"loss 0.0312"``.
        rows: What follows its line in lines of their own, e.g. what runs where.
        bar: The bar on a terminal, if there is one.
    """

    def __init__(
        self,
        title: str,
        total: int | None = None,
        unit: str = "batch",
        *,
        bar: bool = True,
        outlook: Callable[[], str] | None = None,
        rate: bool = False,
    ) -> None:
        self.title, self.total, self.unit = title, total, unit
        self.outlook, self.rate = outlook, rate
        self.done, self.note, self.rows = 0, "", list[str]()
        self.bar: tqdm[Any] | None = None
        self._wants_bar, self._started = bar, time.monotonic()

    def begin(self) -> Phase:
        """Begin."""
        self._started = time.monotonic()
        if self._wants_bar and not bar_is_shown():
            self.bar = _new_bar(self.title, self.total, self.unit, self.rate)
        _lines.open(self)
        return self

    def close(self) -> None:
        """End, and remove the bar."""
        _lines.close(self)

    def __enter__(self) -> Phase:
        return self.begin()

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, count: int = 1) -> None:
        """Count units that are done."""
        self.done += count
        if self.bar is not None:
            if self.note:
                self.bar.set_postfix_str(self.note, refresh=False)
            self.bar.update(count)

    def line(self) -> str:
        """Return the progress in words."""
        seconds = time.monotonic() - self._started
        plural = "" if self.total == 1 else "es" if self.unit.endswith("ch") else "s"
        done = f"{self.done:,}"
        parts = [self.note] if self.note else []
        if self.rate and self.done and seconds > 0:
            parts.append(f"{self.done / seconds:.3g} a second")
        if self.total is not None:
            done = f"{done} of {self.total:,}"
            if 0 < self.done < self.total:
                left = (self.total - self.done) * seconds / self.done
                parts.append(f"{duration(left)} left")
        elif not self.done:
            return ", ".join([f"{self.title}: for {duration(seconds)} now", *parts])
        return ", ".join([f"{self.title}: {done} {self.unit}{plural}", *parts])


class _Lines:
    """The open phases, and the thread that writes their lines."""

    def __init__(self) -> None:
        self.every = EVERY
        self.phases: list[Phase] = []
        self.lock = threading.Lock()
        self._spoken = time.monotonic()
        self._first = True
        self._ended = threading.Event()
        if hasattr(os, "register_at_fork"):  # a worker must not inherit a log file in mid-line
            os.register_at_fork(
                before=self.lock.acquire,
                after_in_parent=self.lock.release,
                after_in_child=self._forked,
            )

    def _forked(self) -> None:
        self.phases = []
        self.lock.release()

    def spoke(self) -> None:
        """Note that a message was written."""
        self._spoken = time.monotonic()

    def open(self, phase: Phase) -> None:
        """Add a phase; the first one starts the thread."""
        self.phases.append(phase)
        if len(self.phases) == 1 and self.every > 0 and logger.isEnabledFor(logging.INFO):
            self.spoke()
            self._first = True
            self._ended = threading.Event()
            writer = threading.Thread(
                target=self._write, args=(self._ended,), name=NAME, daemon=True
            )
            writer.start()

    def close(self, phase: Phase) -> None:
        """Remove a phase, and all that were opened in it; the last one ends the thread."""
        if phase in self.phases:
            place = self.phases.index(phase)
            for inner in self.phases[place:]:
                if inner.bar is not None:
                    inner.bar.close()
                    inner.bar = None
            del self.phases[place:]
        if not self.phases:
            self._ended.set()

    def text(self) -> str:
        """Return the line of the innermost phase, with what the others add."""
        phases = list(self.phases)
        if not phases:
            return ""
        added = [phase.outlook() for phase in reversed(phases) if phase.outlook is not None]
        return "\n  ".join(["; ".join([phases[-1].line(), *filter(None, added)]), *phases[-1].rows])

    def _write(self, ended: threading.Event) -> None:
        while True:
            every = min(FIRST, self.every) if self._first else self.every
            wait = self._spoken + every - time.monotonic()
            if ended.wait(max(0.01, wait)):
                return
            if time.monotonic() - self._spoken < every:
                continue  # something was written meanwhile
            with self.lock, contextlib.suppress(Exception):  # never stops the work
                text = self.text()
                if text and not ended.is_set():
                    logger.info("%s", text)
            self._first = False
            self.spoke()


_lines = _Lines()
spoke = _lines.spoke


def bar_is_shown() -> bool:
    """Return whether a bar is on the terminal now."""
    return any(phase.bar is not None for phase in _lines.phases)


@contextlib.contextmanager
def bars_cleared() -> Iterator[None]:
    """Keep bars away while a message is written."""
    if not bar_is_shown():
        yield
        return
    with tqdm.external_write_mode(file=sys.stderr):
        yield


@contextlib.contextmanager
def progress_lines(
    title: str, every: float = EVERY, outlook: Callable[[], str] | None = None
) -> Iterator[None]:
    """Let the work in the block write a line after so many seconds of silence.

    Args:
        title: The work, for times in which no phase of it is open.
        every: Seconds; 0 for no lines.
        outlook: Returns what each line should say at its end, e.g. the time left.
    """
    before, _lines.every = _lines.every, every
    try:
        with Phase(title, bar=False, outlook=outlook):
            yield
    finally:
        _lines.every = before


def track(
    items: Iterable[T],
    title: str,
    total: int | None = None,
    unit: str = "batch",
    rate: bool = False,
) -> Iterator[T]:
    """Yield items, and count them as the progress of a phase.

    Args:
        items: What is worked on.
        title: What is done.
        total: Their number; None for that of `items`, where they have one.
        unit: What an item is, in the singular.
        rate: Say how many are done in a second.
    """
    total = len(items) if total is None and isinstance(items, Sized) else total
    with Phase(title, total, unit, rate=rate) as phase:
        for item in items:
            yield item
            phase.update()


def on_terminal() -> bool:
    """Return whether standard error is a terminal; a bar of another library needs one too."""
    return bool(getattr(sys.stderr, "isatty", lambda: False)())


def _new_bar(title: str, total: int | None, unit: str, rate: bool) -> tqdm[Any] | None:
    """Return a bar on the terminal; None where standard error is none."""
    if not on_terminal() or not is_main():
        return None
    width = columns()
    room = max(8, width - BESIDE_TITLE)
    return tqdm(
        total=total,
        desc=title if len(title) <= room else f"{title[: room - 3]}...",
        unit=f" {unit}",
        leave=False,
        file=sys.stderr,
        bar_format=None if total is None else BAR.replace("{postfix}", RATE * rate + "{postfix}"),
        ncols=width,
    )


def columns() -> int:
    """Return the width of a bar: the terminal's, at most 80, which it is if nobody knows."""
    with contextlib.suppress(OSError, ValueError):
        return min(COLUMNS, os.get_terminal_size(sys.stderr.fileno()).columns or COLUMNS)
    return COLUMNS


def duration(seconds: float) -> str:
    """Return a time for people, rounded.

    >>> [duration(s) for s in (0.4, 59, 61, 1800, 3900, 90_000, 300_000)]
    ['1 s', '59 s', '61 s', '30 min', '1 h 5 min', '25 h', '3.5 days']
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min" if minutes % 60 else f"{minutes // 60} h"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
