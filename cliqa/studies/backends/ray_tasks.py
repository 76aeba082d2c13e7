"""Ray's tasks of a study's runs: started, watched, and stopped with the study."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cliqa
from cliqa.engine.interrupts import Interrupted
from cliqa.studies.backends.commands import GRACE, RESUME, noted_signals
from cliqa.studies.backends.live_table import LiveTable
from cliqa.utils.errors import first_line

RETRIES = 3
"""How often a run is started again whose node was lost."""

LOOK = 0.5
"""Seconds between two looks at the tasks."""


class Tasks:
    """Ray's tasks of some runs, from their start to their end.

    Args:
        ray: The module, connected.
        board: The actor of a `Board`.
        task: The remote function of `run_task`.
        most: How many are handed to Ray at a time.
        first: The number of the first run on the board.
    """

    def __init__(self, ray: Any, board: Any, task: Any, most: int, first: int) -> None:  # noqa: ANN401
        self._ray, self._board, self._task, self._most = ray, board, task, most
        self.first = first
        self._running: dict[Any, int] = {}

    def run(
        self,
        names: Sequence[str],
        start: Callable[[int], dict[str, Any]],
        ended: Callable[[int, dict[str, Any]], None],
    ) -> None:
        """Run all.

        Args:
            names: Of the runs.
            start: Returns a run's job, by its number.
            ended: Takes a run's number and its task's outcome.

        Raises:
            Interrupted: A signal came; no task runs any more.
        """
        waiting, root = list(range(len(names))), str(Path(cliqa.__file__).resolve().parents[1])
        with noted_signals() as signals, LiveTable(names) as shown:
            try:
                while (waiting or self._running) and not signals:
                    while waiting and len(self._running) < self._most:
                        place = waiting.pop(0)
                        given = (root, start(place), self._board, self.first + place)
                        self._running[self._task.remote(*given)] = place
                    for place, outcome in self._ended(LOOK):
                        shown.end(place)
                        ended(place, outcome)
                    shown.show(self._rows())
            finally:
                self._end(signals)
            if signals:
                raise Interrupted(signals[0], RESUME)

    def _ended(self, seconds: float) -> Iterator[tuple[int, dict[str, Any]]]:
        """Wait a while, and yield the tasks that have ended."""
        ready, _ = self._ray.wait(list(self._running), timeout=seconds)
        for task in ready:
            place = self._running.pop(task)
            try:
                outcome = self._ray.get(task)
            except self._ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None) or error
                reason = f"Ray gave the run up: {type(cause).__name__}: {first_line(cause)}"
                outcome = {"status": 1, "refused": "", "reason": reason, "again": True}
            if not outcome["again"]:
                outcome["reason"] = f"its node or worker was lost {RETRIES + 1} times"
            yield place, outcome

    def _rows(self) -> dict[int, dict[str, Any]]:
        """Return what the board knows of these runs."""
        rows = self._ray.get(self._board.look.remote())
        return {number - self.first: row for number, row in rows.items()}

    def _end(self, signals: Sequence[int]) -> None:
        """Ask all to stop, wait, and end at once what does not stop, or after a second signal."""
        if not self._running:
            return
        before, deadline = len(signals), time.monotonic() + 2 * GRACE
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get(self._board.stop.remote())
            begun = self._rows()
            for task, place in self._running.items():
                if place not in begun:
                    self._ray.cancel(task)
            while self._running and len(signals) == before and time.monotonic() < deadline:
                for _ in self._ended(LOOK):
                    pass
        for task in self._running:
            self._ray.cancel(task, force=True)
