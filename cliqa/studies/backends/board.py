"""Where the runs of a study on several nodes report, and hear that they should stop.

It reaches the process that it lives in by value, so it imports nothing else of the package.
"""

from __future__ import annotations

import time
from typing import Any


class Board:
    """Takes the runs' reports; it lives in a process that all nodes reach.

    Plain values come and go. A run's older attempt, which may go on at a node that was thought
    lost, is told to stop.

    Args:
        most: How many attempts at a run are made.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows: dict[int, dict[str, Any]] = {}
        self.stopping = False

    def begin(self, place: int, node: str) -> int:
        """Take note of an attempt; return its number, from 1, or 0 if it should not be made."""
        attempt = self.rows.get(place, {}).get("attempt", 0) + 1
        if self.stopping or attempt > self.most:
            return 0
        row = {"node": node, "attempt": attempt, "note": "starts", "at": time.monotonic()}
        self.rows[place] = row
        return int(attempt)

    def tell(self, place: int, attempt: int, note: str) -> bool:
        """Take what an attempt does now; return whether it should stop."""
        row = self.rows.get(place)
        if row is None or row["attempt"] != attempt:
            return True
        row.update(note=note or row["note"], at=time.monotonic())
        return self.stopping

    def look(self) -> dict[int, dict[str, Any]]:
        """Return the rows by the run's number, with the ``age`` of each last word in seconds."""
        now = time.monotonic()
        return {place: {**row, "age": now - row["at"]} for place, row in self.rows.items()}

    def stop(self) -> None:
        """Tell all runs to stop from now on."""
        self.stopping = True
