"""The queue of runs, in files: what is asked for outlives the page, the server and its machine.

A job is a folder below ``work_dirs/.queue``: its config, the output of its process, a lock that the
process holds as long as it lives, and ``job.json``. Its run is the work_dir of its name.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cliqa.app.queue.job import (
    ALIVE,
    FAILED,
    FINISHED,
    JOB,
    RUN,
    RUNNING,
    START,
    STOP,
    STOP_STATUSES,
    STOPPED,
    STOPPING,
    UNFINISHED,
    WAITING,
    Job,
    check_name,
    is_newer,
    last_lines,
    name_after,
    new_folder,
    read_job,
    read_jobs,
    reason_in,
)
from cliqa.app.queue.process import end_process, launched, may_be, opened_at_end
from cliqa.app.queue.progress import status_of
from cliqa.app.queue.search import Search
from cliqa.config.load import dump_config
from cliqa.evaluation.records.study_deployed import FILE
from cliqa.studies.backends.commands import TRAIN, Program
from cliqa.utils.errors import ConfigError, machine_trouble
from cliqa.utils.io import write_json
from cliqa.utils.locks import is_locked, keep_from_children, lock
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

FOLDER = ".queue"
PROGRAM: Program = TRAIN[:-1]
"""The command ``cliqa`` in this Python."""

LOCK, LOG = "lock", "log.txt"

CHANGES = ".changes"
"""The lock that is held while jobs change: the tabs of a page and other servers change them too."""

CANNOT_START = 126
"""The exit status of what cannot be started, as a shell has it."""


class Jobs:
    """The jobs of a folder of runs.

    Args:
        work_dirs: The folder of runs.
    """

    def __init__(self, work_dirs: Path) -> None:
        self.work_dirs, self.folder = work_dirs, work_dirs / FOLDER
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._mine, self._depth = threading.RLock(), 0

    def all(self) -> list[Job]:
        """Return all jobs in the order of the queue; what cannot be read is left out."""
        with self._mine:
            self._note_ends()
            return read_jobs(self.folder)

    def states(self) -> list[tuple[Job, str]]:
        """Return all jobs, each with its state; who needs several states asks once."""
        return [(job, self.state_of(job)) for job in self.all()]

    def get(self, name: object) -> Job:
        """Return a job by its name.

        Raises:
            ConfigError: There is none.
        """
        found = {job.name: job for job in self.all()}
        if not isinstance(name, str) or name not in found:
            raise ConfigError(f"{ascii(name)[:60]}: no such run in the queue.")
        return found[name]

    def add(self, name: str, config: Mapping[str, Any], device: str) -> Job:
        """Put a run into the queue.

        Args:
            name: What it should be called; a number is added where that is taken.
            config: Its config.
            device: Where it trains.

        Raises:
            ConfigError: The name cannot be a folder's.
        """
        check_name(name)
        with self._changing():
            return self._added(
                Job(new_folder(self.folder, self.work_dirs, name), device, time.time()), config
            )

    def add_search(self, search: Search) -> Job:
        """Put a search for a smaller or faster form of a run's model into the queue.

        Raises:
            ConfigError: A search of this run waits or goes on: both would write the same files.
        """
        with self._changing():
            same = self.searches_of(search.run)
            if any(self.state_of(job) in UNFINISHED for job in same):
                raise ConfigError(f"{search.run}: a search of it is in the queue already.")
            name = new_folder(self.folder, self.work_dirs, name_after(search.run))
            return self._added(Job(name, "cpu", time.time(), search=search))

    def searches_of(self, run: object) -> list[Job]:
        """Return the searches for forms of a run's model, in the order of the queue."""
        return [job for job in self.all() if job.search is not None and job.search.run == run]

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Let nobody else change jobs within the block."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._mine, ExitStack() as held:
            if not self._depth:
                file = held.enter_context(open(self.folder / CHANGES, "a"))
                lock(file, wait=True)
                keep_from_children(file)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    def _added(self, job: Job, config: Mapping[str, Any] | None = None) -> Job:
        """Write a new job."""
        try:
            if config is not None:
                dump_config(config, self.config_file(job))
            self._write(job)
        except BaseException:
            shutil.rmtree(self._file(job), ignore_errors=True)
            raise
        return job

    def state_of(self, job: Job) -> str:
        """Return what a job is doing, or how it ended."""
        if self._is_alive(job):
            return STOPPING if job.wanted == STOP else RUNNING
        if job.wanted == START:
            return WAITING
        if job.status == 0 or (job.status is None and self._has_finished(job)):
            return FINISHED
        asked = job.wanted == STOP or job.status in STOP_STATUSES
        return STOPPED if asked else FAILED

    def _is_alive(self, job: Job) -> bool:
        """Return whether a job's process lives, whoever has started it."""
        process = self._processes.get(job.name)
        return is_locked(self._file(job, LOCK)) or (process is not None and process.poll() is None)

    def _has_finished(self, job: Job) -> bool:
        """Return whether what a job has written says that it is done."""
        if job.search is not None:
            return is_newer(self.folder_of(job) / FILE, job.place)
        return status_of(self.folder_of(job)) == "finished"

    def reason_of(self, job: Job) -> str:
        """Return why a job failed: the errors that its process told, else its last line."""
        return reason_in(self.log_of(job), job.status)

    def log_of(self, job: Job) -> list[str]:
        """Return the last lines of a job's output."""
        return last_lines(self._file(job, LOG))

    def folder_of(self, job: Job) -> Path:
        """Return the folder of the run that a job trains or compresses."""
        return self.work_dirs / (job.name if job.search is None else job.search.run)

    def config_file(self, job: Job) -> Path:
        """Return the file of a job's config."""
        return self._file(job, f"{job.name}.py")

    def start(self, job: Job) -> None:
        """Start a job's process; it resumes where it was stopped.

        The process holds the job's lock, by which servers that did not start it know that it lives.

        Raises:
            OSError: A file of it cannot be written.
        """
        with self._changing(), ExitStack() as files:
            now = read_job(self._file(job, JOB))
            if now is None or now.wanted != START:  # somebody has just removed or stopped it
                return
            held, log = (
                files.enter_context(opened_at_end(self._file(job, name))) for name in (LOCK, LOG)
            )
            if lock(held) is False:  # it lives, or somebody looks at the lock just now
                return
            log.truncate(0)
            running = replace(job, wanted=RUN, status=None, process=None)
            self._write(running)
            words = job.words(self.folder_of(job), self.config_file(job))
            process = launched([*map(str, PROGRAM), *words], log, held)
            self._processes[job.name] = process
            self._write(replace(running, process=process.pid))

    def fail(self, job: Job, reason: str) -> None:
        """Note that a job cannot be started, where that can be written."""
        with self._changing():
            self._write(replace(job, wanted=RUN, status=CANNOT_START))
            with opened_at_end(self._file(job, LOG)) as log:
                log.write(f"error: {reason}\n".encode())

    def stop(self, name: object) -> None:
        """Ask a job to stop: it writes a checkpoint. Asked once more, it is killed.

        Raises:
            ConfigError: There is no such job, or nobody knows its process.
        """
        with self._changing():
            job = self.get(name)
            state = self.state_of(job)
            if state in ALIVE and not may_be(job.process):
                raise ConfigError(
                    f"{job.name}: it is not known which process it is, since its server ended as "
                    f"it started. It holds {self._file(job, LOCK)} open: end it by hand."
                )
            if state in UNFINISHED:
                self._write(replace(job, wanted=STOP))
            if state in ALIVE and job.process is not None:
                end_process(job.process, kill=state == STOPPING)

    def resume(self, name: object) -> None:
        """Put a job that was stopped, or failed, at the end of the queue.

        Raises:
            ConfigError: There is no such job, or it did neither.
        """
        with self._changing():
            job = self.get(name)
            state = self.state_of(job)
            if state not in (STOPPED, FAILED):
                raise ConfigError(f"{job.name} is {state}. Only what stopped or failed can resume.")
            self._write(replace(job, place=time.time(), wanted=START, status=None))

    def remove(self, name: object) -> None:
        """Take a job out of the list; what its run has written stays.

        Raises:
            ConfigError: There is no such job, or it is running.
        """
        with self._changing():
            job = self.get(name)
            if self.state_of(job) in ALIVE:
                raise ConfigError(f"{job.name} is running. Stop it first.")
            shutil.rmtree(self._file(job), ignore_errors=True)

    def _note_ends(self) -> None:
        """Write down how the processes ended that were started here."""
        ended = [(name, each) for name, each in self._processes.items() if each.poll() is not None]
        for name, process in ended:
            del self._processes[name]
            try:
                with self._changing():
                    job = read_job(self.folder / name / JOB)
                    if job is not None and job.process == process.pid:
                        self._write(replace(job, status=process.returncode))
            except OSError as error:  # a full disk: what it has written tells how it ended
                logger.warning("%s: %s", name, machine_trouble(error) or error)

    def _file(self, job: Job, *name: str) -> Path:
        """Return a file of a job's folder; without a name the folder."""
        return self.folder.joinpath(job.name, *name)

    def _write(self, job: Job) -> None:
        """Write what is known of a job."""
        write_json(self._file(job, JOB), asdict(job))
