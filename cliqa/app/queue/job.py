"""A job of the queue, and its file."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from cliqa.app.queue.search import Search
from cliqa.config.arguments import checked_arguments
from cliqa.utils.errors import ConfigError, first_line
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

WAITING, RUNNING, STOPPING = "waiting", "running", "stopping"
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
"""What a job is doing, or how it ended."""

START, RUN, STOP = "start", "run", "stop"
"""What is wanted of a job: that it is started, that it goes on, that it stops."""


@dataclass(frozen=True)
class Job:
    """A run that was asked for.

    Attributes:
        name: Of its work_dir.
        device: Where it trains.
        place: Its place in the queue: the time at which it was put there.
        wanted: `START`, `RUN` or `STOP`.
        status: The exit status of its last process; None where nobody saw it end.
        process: The number of its last process.
        search: What is searched for, if a run is compressed in place of one being trained.
    """

    name: str
    device: str
    place: float
    wanted: str = START
    status: int | None = None
    process: int | None = None
    search: Search | None = None


def read_job(path: Path) -> Job | None:
    """Return the job of a file; None, with a line in the log, if it is damaged."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        search = held.get("search")
        job = Job(**{**held, "search": None if search is None else Search(**search)})
        checked_arguments(Job, vars(job), "")
    except FileNotFoundError:  # it has just been removed
        return None
    except (OSError, AttributeError, TypeError, ValueError, ConfigError) as error:
        logger.warning("%s: left out of the queue (%s)", path, first_line(error))
        return None
    return job if job.name == path.parent.name else None


def last_lines(path: Path, most: int = 200) -> list[str]:
    """Return the last lines of an output; of a line that was written over, its end."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 100 * most))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    shown = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n"))
    return [line for line in shown if line][-most:]


def is_newer(path: Path, moment: float) -> bool:
    """Return whether a file was written after a moment."""
    try:
        return path.stat().st_mtime > moment
    except OSError:
        return False
