"""The table of what runs where: below a terminal's bar, elsewhere with lines of progress."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

from cliqa.utils.logging import get_logger
from cliqa.utils.progress import Phase, bar_is_shown, columns

SILENT = 15.0
"""Seconds without a word after which the table says so."""

ROWS = 12
"""The most rows that are shown at once."""

logger = get_logger(__name__)


class LiveTable:
    """Shows the runs of a study on several nodes; open inside a ``with`` block.

    Args:
        names: Of the runs.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.left = dict(enumerate(names))
        self._phase = Phase("on the nodes", len(names), "run", bar=False)
        self._below: list[tqdm[Any]] = []
        self._attempts: dict[int, int] = {}

    def __enter__(self) -> LiveTable:
        self._phase.begin()
        return self

    def __exit__(self, *_: object) -> None:
        for line in reversed(self._below):
            line.close()
        self._phase.close()

    def end(self, place: int) -> None:
        """Leave out a run that has ended."""
        self.left.pop(place, None)
        self._phase.update()

    def show(self, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """Show what the runs do now, and tell of each new attempt in a message.

        Args:
            rows: By the number of a run: its ``node``, its ``attempt`` from 1, a ``note``, and the
                ``age`` of that in seconds.
        """
        for place, name in self.left.items():
            attempt = rows[place]["attempt"] if place in rows else 0
            if attempt > self._attempts.get(place, 0):
                again = f", attempt {attempt}: the one before was lost" if attempt > 1 else ""
                logger.info("%s: on %s%s", name, rows[place]["node"], again)
                self._attempts[place] = attempt
        lines = table(self.left, rows)
        if lines != self._phase.rows:
            self._phase.rows = lines
            self._draw(lines)

    def _draw(self, lines: Sequence[str]) -> None:
        """Write the lines below the bar, if there is one."""
        if not bar_is_shown():
            return
        while len(self._below) < len(lines):
            place = len(self._below) + 1
            line = tqdm(position=place, leave=False, file=sys.stderr, bar_format="{desc}")
            self._below.append(line)
        for place, line in enumerate(self._below):
            text = lines[place] if place < len(lines) else ""
            line.set_description_str(text[: columns() - 1])


def table(names: Mapping[int, str], rows: Mapping[int, Mapping[str, Any]]) -> list[str]:
    """Return a line for each run that has not ended.

    Args:
        names: The names of these runs, by their number.
        rows: See `LiveTable.show`.

    >>> row = {"node": "n1", "attempt": 2, "note": "experience 1, epoch 3", "age": 0.4}
    >>> print(*table({0: "demo, seed 0", 1: "demo, seed 1"}, {0: row}), sep=chr(10))
    demo, seed 0  n1  experience 1, epoch 3  1 retry
    1 more: waiting
    """
    known = [(names[place], rows[place]) for place in sorted(names) if place in rows]
    cells = [(name, str(row["node"]), _state(row)) for name, row in known[:ROWS]]
    widths = [max(map(len, column)) for column in list(zip(*cells, strict=True))[:2]]
    lines = []
    for *first, last in cells:
        padded = (cell.ljust(width) for cell, width in zip(first, widths, strict=True))
        lines.append("  ".join([*padded, last]))
    hidden, waiting = len(known) - len(cells), len(names) - len(known)
    more = [(hidden, "running"), (waiting, "waiting")]
    return [*lines, *(f"{count} more: {what}" for count, what in more if count)]


def _state(row: Mapping[str, Any]) -> str:
    """Return what a run does, how long it has said nothing, and how often it was started again."""
    retries = row["attempt"] - 1
    parts = [str(row["note"])]
    if row["age"] > SILENT:
        parts.append(f"no word for {row['age']:.0f} s")
    if retries:
        parts.append(f"{retries} retr{'y' if retries == 1 else 'ies'}")
    return "  ".join(parts)
