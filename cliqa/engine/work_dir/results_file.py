"""``results.json`` and ``matrix.csv`` of a run, written where that takes little of its time."""

from __future__ import annotations

import time
from collections.abc import Callable

from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.tables import report
from cliqa.utils.io import write_json, write_text

SHARE = 0.01
"""The most of a run's time that its results take while it goes on: they hold its whole matrix."""


class ResultsFile:
    """The results of a run so far.

    Args:
        files: The work_dir.
    """

    def __init__(self, files: WorkDir) -> None:
        self._files = files
        self._seconds, self._last = 0.0, float("-inf")

    def later(self, build: Callable[[], Results]) -> Callable[[], None]:
        """Return what writes the results as they are now; what does nothing if they are not due."""
        if SHARE * (time.monotonic() - self._last) < self._seconds:
            return lambda: None
        started = time.monotonic()
        results = build()
        built = time.monotonic() - started
        return lambda: self._write(results, built)

    def write(self, build: Callable[[], Results]) -> None:
        """Write the results as they are now, whenever they were written last."""
        self._write(build(), 0.0)

    def _write(self, results: Results, built: float) -> None:
        """Write the files; it took `built` seconds to make their content."""
        started = time.monotonic()
        write_json(self._files.results, results)
        write_text(self._files.matrix, report(results, "csv"))
        self._last = time.monotonic()
        self._seconds = built + self._last - started
