"""A job of the queue, and its file."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import signal
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cliqa.app.queue.search import Search
from cliqa.app.settings import file_state
from cliqa.config.arguments import checked_arguments
from cliqa.evaluation.records.results import read_artifact
from cliqa.utils.errors import ArtifactError, ConfigError, first_line
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

WAITING, RUNNING, STOPPING = "waiting", "running", "stopping"
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
"""What a job is doing, or how it ended."""

ALIVE = (RUNNING, STOPPING)
"""States in which a job has a process."""

UNFINISHED = (WAITING, *ALIVE)
"""States of a job that has not ended."""

START, RUN, STOP = "start", "run", "stop"
"""What is wanted of a job: that it is started, that it goes on, that it stops."""


STOP_STATUSES = (130, 143, -2, -15)
"""Exit statuses of a run that was asked to stop."""

LOST = (
    "it ended without a word: it was killed, or the machine stopped. Resume goes on from the last "
    "checkpoint."
)

JOB = "job.json"
MOST = 500
"""Jobs in the list: each is looked at every other second."""

LONGEST = 80
NAME = re.compile(rf"[A-Za-z0-9][\w.+-]{{0,{LONGEST - 1}}}", re.ASCII)


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

    def words(self, folder: Path, config_file: Path) -> list[str]:
        """Return the arguments of ``cliqa``.

        Args:
            folder: The run's folder.
            config_file: What it trains.
        """
        if self.search is not None:
            return ["compress", "auto", str(folder), *self.search.words()]
        words = ["train", str(config_file), "--work-dir", str(folder)]
        return [*words, "--device", self.device, "--resume", "auto"]


def check_name(name: str) -> None:
    """Refuse what cannot be the name of a run.

    Raises:
        ConfigError: It cannot.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"name {ascii(name)[:40]}: use letters, digits and . _ + - ({LONGEST} at most), a "
            "letter or a digit first."
        )


def name_after(run: str) -> str:
    """Return the name of a search of a run.

    >>> name_after("study/demo, 1")
    'compress_study_demo__1'
    """
    return re.sub(r"[^\w.+-]", "_", f"compress_{run}", flags=re.ASCII)[:LONGEST]


def new_folder(folder: Path, work_dirs: Path, name: str) -> str:
    """Make a job's folder; return the name that it got, with a number where that is taken.

    Raises:
        ConfigError: The list is full.
    """
    if len(list(folder.glob(f"*/{JOB}"))) >= MOST:
        raise ConfigError(f"the list has {MOST} runs. Remove some of those that have ended.")
    for number in itertools.count(1):
        free = name if number == 1 else f"{name}_{number}"
        if not (work_dirs / free).exists():
            with contextlib.suppress(FileExistsError):
                (folder / free).mkdir()
                break
    return free


def read_jobs(folder: Path) -> list[Job]:
    """Return the jobs of a folder in the order of the queue; what cannot be read is left out."""
    try:
        names = os.listdir(folder)
    except OSError:  # there is none yet
        return []
    found = (read_job(os.path.join(folder, name, JOB)) for name in names)
    return sorted((job for job in found if job), key=lambda job: (job.place, job.name))


def read_job(path: str | os.PathLike[str]) -> Job | None:
    """Return the job of a file; None, with a line in the log, if it is damaged.

    A file that has not changed is not read again: a page asks for all jobs every other second.
    """
    state = file_state(path)  # None: it has just been removed, or never was one
    return None if state is None else _read(os.fspath(path), state)


@lru_cache(maxsize=4096)
def _read(path: str, _: tuple[int, int, int]) -> Job | None:
    """Return the job of a file in a state of it."""
    try:
        held = read_artifact(Path(path), "", "")[1]
        search = held.get("search")
        job = Job(**{**held, "search": None if search is None else Search(**search)})
        checked_arguments(Job, vars(job), "")
        if not math.isfinite(job.place) or (job.process is not None and job.process <= 1):
            raise ConfigError("a place or a process is none")
    except (AttributeError, TypeError, ArtifactError, ConfigError) as error:
        logger.warning("%s: left out of the queue (%s)", path, first_line(error))
        return None
    return job if job.name == Path(path).parent.name else None


def last_lines(path: Path, most: int = 200) -> list[str]:
    """Return the last lines of an output; of a line that was written over, its end."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return []
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


def reason_in(lines: list[str], status: int | None) -> str:
    """Return why a job failed: the errors in the lines of its output, else the last line."""
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if errors:
        return "\n".join(errors)
    killed = status is None or status == -signal.SIGKILL
    return LOST if killed or not lines else lines[-1]
