"""The queue of runs, in files: what is asked for outlives the page, the server and its machine.

A job is a folder below ``work_dirs/.queue``: its config, the output of its process, a lock that the
process holds as long as it lives, and ``job.json``. Its run is the work_dir of its name.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cliqa
from cliqa.app.queue.job import (
    FAILED,
    FINISHED,
    RUN,
    RUNNING,
    START,
    STOP,
    STOPPED,
    STOPPING,
    WAITING,
    Job,
    is_newer,
    last_lines,
    read_job,
)
from cliqa.app.queue.search import Search
from cliqa.config.load import dump_config
from cliqa.evaluation.records.study_deployed import FILE
from cliqa.studies.backends.commands import TRAIN, Program, with_package
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.utils.io import write_json
from cliqa.utils.locks import AVAILABLE, is_locked, lock

FOLDER = ".queue"
PROGRAM: Program = TRAIN[:-1]
"""The command ``cliqa`` in this Python."""

JOB, LOCK, LOG = "job.json", "lock", "log.txt"

STOP_STATUSES = (130, 143, -2, -15)
"""Exit statuses of a run that was asked to stop."""

LONGEST = 80
NAME = re.compile(rf"[A-Za-z0-9][\w.+-]{{0,{LONGEST - 1}}}", re.ASCII)

LOST = (
    "it ended without a word: it was killed, or the machine stopped. Resume goes on from the last "
    "checkpoint."
)


class Jobs:
    """The jobs of a folder of runs.

    Args:
        work_dirs: The folder of runs.
    """

    def __init__(self, work_dirs: Path) -> None:
        self.work_dirs, self.folder = work_dirs, work_dirs / FOLDER
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._mine = threading.RLock()

    def all(self) -> list[Job]:
        """Return all jobs in the order of the queue; what cannot be read is left out."""
        with self._mine:
            self._note_ends()
            found = [read_job(path) for path in sorted(self.folder.glob("*/job.json"))]
        return sorted((job for job in found if job), key=lambda job: (job.place, job.name))

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
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"name {ascii(name)[:40]}: use letters, digits and . _ + - (80 at most), a letter "
                "or a digit first."
            )
        job = Job(self._new_folder(name), device, time.time())
        return self._added(job, config)

    def add_search(self, search: Search) -> Job:
        """Put a search for a smaller or faster form of a run's model into the queue."""
        name = re.sub(r"[^\w.+-]", "_", f"compress_{search.run}", flags=re.ASCII)[:LONGEST]
        return self._added(Job(self._new_folder(name), "cpu", time.time(), search=search))

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

    def _new_folder(self, name: str) -> str:
        """Make a job's folder; return the name that it got."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            free = name if number == 1 else f"{name}_{number}"
            if not (self.work_dirs / free).exists():
                with contextlib.suppress(FileExistsError):
                    (self.folder / free).mkdir()
                    break
        return free

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
        try:
            return cliqa.results(self.work_dirs / job.name).status == "finished"
        except ArtifactError:
            return False

    def reason_of(self, job: Job) -> str:
        """Return why a job failed: the errors that its process told, else its last line."""
        lines = self.log_of(job)
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        if errors:
            return "\n".join(errors)
        killed = job.status is None or job.status == -signal.SIGKILL
        return LOST if killed or not lines else lines[-1]

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
        """
        with (
            self._mine,
            open(self._file(job, LOCK), "a") as held,
            open(self._file(job, LOG), "ab") as log,
        ):
            if lock(held) is False:  # it lives, or somebody looks at the lock just now
                return
            log.truncate(0)
            running = replace(job, wanted=RUN, status=None, process=None)
            self._write(running)
            process = subprocess.Popen(
                [sys.executable, *map(str, PROGRAM), *self._words_of(job)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=with_package(os.environ),
                start_new_session=True,
                pass_fds=(held.fileno(),) if AVAILABLE else (),
            )
            self._processes[job.name] = process
            self._write(replace(running, process=process.pid))

    def _words_of(self, job: Job) -> list[str]:
        """Return the command of a job."""
        folder = str(self.folder_of(job))
        if job.search is not None:
            return ["compress", "auto", folder, *job.search.words()]
        words = ["train", str(self.config_file(job)), "--work-dir", folder]
        return [*words, "--device", job.device, "--resume", "auto"]

    def stop(self, name: object) -> None:
        """Ask a job to stop: it writes a checkpoint. Asked once more, it is killed.

        Raises:
            ConfigError: There is no such job.
        """
        with self._mine:
            job = self.get(name)
            state = self.state_of(job)
            if state in (WAITING, RUNNING, STOPPING):
                self._write(replace(job, wanted=STOP))
            if state in (RUNNING, STOPPING) and job.process is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(job.process, signal.SIGKILL if state == STOPPING else signal.SIGTERM)

    def resume(self, name: object) -> None:
        """Put a job that was stopped, or failed, at the end of the queue.

        Raises:
            ConfigError: There is no such job, or it did neither.
        """
        with self._mine:
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
        with self._mine:
            job = self.get(name)
            if self.state_of(job) in (RUNNING, STOPPING):
                raise ConfigError(f"{job.name} is running. Stop it first.")
            shutil.rmtree(self._file(job), ignore_errors=True)

    def _note_ends(self) -> None:
        """Write down how the processes ended that were started here."""
        for name, process in list(self._processes.items()):
            status = process.poll()
            if status is None:
                continue
            del self._processes[name]
            job = read_job(self.folder / name / JOB)
            if job is not None and job.process == process.pid:
                self._write(replace(job, status=status))

    def _file(self, job: Job, *name: str) -> Path:
        """Return a file of a job's folder; without a name the folder."""
        return self.folder.joinpath(job.name, *name)

    def _write(self, job: Job) -> None:
        """Write what is known of a job."""
        write_json(self._file(job, JOB), asdict(job))
