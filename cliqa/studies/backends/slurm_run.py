"""A run as a job of SLURM: started, queued again, and reporting in the study's folder."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cliqa.deploy.libraries import library
from cliqa.studies.backends.commands import POLL
from cliqa.studies.backends.jobs import TOKEN, Job, read_token
from cliqa.studies.backends.on_node import RunOnNode
from cliqa.utils.io import write_json

FOLDER = ".jobs"
"""Submitit's files and the runs' reports, in the study's folder."""

REPORT = 5.0
"""Seconds between two reports of a run."""

LATE = 5.0
"""Seconds after the end of a job in which its last report must be seen."""


class SlurmRun:
    """One run as submitit's job calls it, and as it is queued again.

    Args:
        job: A `Job` as plain values.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self._run: RunOnNode | None = None

    def __call__(self) -> dict[str, Any]:
        """Run it; see `RunOnNode.run`."""
        job = Job(**self.job)
        report = Report(job)
        self._run = RunOnNode(job, report)
        outcome = self._run.run()
        report.end(outcome)
        return outcome

    def checkpoint(self) -> Any:  # noqa: ANN401  of submitit
        """Stop the run, which saves its checkpoint, and return what is queued in its place."""
        if self._run is not None:
            self._run.end()
        helpers = library("submitit.helpers", extra="slurm")
        return helpers.DelayedSubmission(SlurmRun(self.job))


class Report:
    """Writes what a run does into a file of the study's folder.

    Args:
        job: The run.
    """

    def __init__(self, job: Job) -> None:
        self.job, self.path, self._at = job, _report_of(job), 0.0
        before = _read(self.path)
        again = before.get("token") == job.token
        self._attempt = before["attempt"] + 1 if again else 1

    def __call__(self, note: str) -> bool:
        """Report, now and then; return whether the study has ended or another one has begun."""
        if time.time() - self._at >= REPORT:
            self._write(note or "starts")
        return read_token(Path(self.job.out) / TOKEN) != self.job.token

    def end(self, outcome: dict[str, Any]) -> None:
        """Report how the run has ended; who reads that need not unpickle a job's result."""
        self._write("ended", **outcome)

    def _write(self, note: str, **more: Any) -> None:  # noqa: ANN401
        self._at = time.time()
        row = {"node": socket.gethostname(), "attempt": self._attempt, "note": note}
        write_json(self.path, {**row, "at": self._at, "token": self.job.token, **more})


def _report_of(job: Job) -> Path:
    """Return the file that a run reports in."""
    return Path(job.out) / FOLDER / f"{job.place_of(job.folder).replace('/', '_')}.json"


def _read(path: Path) -> dict[str, Any]:
    """Return a run's last report, empty if there is none."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return {
            **{key: str(row[key]) for key in ("node", "note", "token")},
            "attempt": int(row["attempt"]),
            "status": int(row["status"]) if "status" in row else None,
            "refused": str(row.get("refused", "")),
            "age": max(0.0, time.time() - float(row["at"]) - REPORT),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def outcome_of(job: Job) -> dict[str, Any] | None:
    """Return how a run has ended; None if it did not say so."""
    deadline = time.monotonic() + LATE
    while time.monotonic() < deadline:
        row = _read(_report_of(job))
        if row.get("token") == job.token and row["status"] is not None:
            return row
        time.sleep(POLL)
    return None


def reports_of(jobs: Sequence[Job]) -> dict[int, dict[str, Any]]:
    """Return the last reports of runs, by their number."""
    found = {place: _read(_report_of(job)) for place, job in enumerate(jobs)}
    return {place: row for place, row in found.items() if row.get("token") == jobs[place].token}
