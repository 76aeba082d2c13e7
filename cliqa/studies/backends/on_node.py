"""One run on a node: its process, what is told about it, and its end.

The node may be lost at any moment. The run is then started on another one and goes on from its last
checkpoint, while the first must be gone: its process ends with the one that started it, the lock of
its work_dir is waited for, and a storage refuses copies of whoever does not own a run's place.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from cliqa.studies.backends import with_parent
from cliqa.studies.backends.commands import GRACE, POLL
from cliqa.studies.backends.jobs import TOKEN, Job, read_token
from cliqa.studies.backends.kept_runs import Copying, bring_needs
from cliqa.studies.backends.storage import Storage
from cliqa.utils.io import write_text
from cliqa.utils.locks import folder_lock, temporary_folder
from cliqa.utils.processes.group import single
from cliqa.utils.system.python_process import python_command

TELL = 1.0
"""Seconds between two reports."""

LOCK = 150.0
"""Seconds that a lost node's lock is waited for: NFS version 4 gives it up after some 90."""

SEEN = 20.0
"""Seconds in which a file must appear on another node of a shared file system."""

SAME_PATHS = "Python, code, configs and data must lie at the same paths on all nodes."

Tell = Callable[[str], bool]
"""Takes what the run does now; returns whether it should stop."""


class RunOnNode:
    """Runs a job's command to its end.

    Args:
        job: What to run.
        tell: Takes reports, and says when to stop.
    """

    def __init__(self, job: Job, tell: Tell) -> None:
        self.job, self.tell = job, tell
        self._process: subprocess.Popen[bytes] | None = None

    def run(self) -> dict[str, Any]:
        """Run it.

        Returns:
            ``status``: its exit status. ``refused``: why no run can work on this node, "" else.
        """
        refused = self._refusal()
        if refused:
            return {"status": 1, "refused": f"node {socket.gethostname()}: {refused}"}
        with ExitStack() as held:
            if self.job.storage:
                return {"status": self._with_storage(held), "refused": ""}
            if not self._is_free(Path(self.job.folder)):
                return {"status": 1, "refused": ""}
            status = self._watch(self.job, lambda: False)
            return {"status": status, "refused": ""}

    def end(self) -> None:
        """Ask the process to stop, wait for it, and kill it if that takes too long."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _refusal(self) -> str:
        """Return why this node cannot run a study's runs, "" if it can."""
        job = self.job
        if not Path(job.cwd).is_dir():
            return f"has no folder {job.cwd}. {SAME_PATHS}"
        os.chdir(job.cwd)
        for path in _files_of(job.arguments):
            if not os.path.exists(path):
                return f"has no {path} (seen from {job.cwd}). {SAME_PATHS}"
        if not job.storage and not _appears(Path(job.out) / TOKEN, job.token):
            return (
                f"does not see the study's folder {Path(job.out).resolve()}. Choose an --out on a "
                "file system that all nodes share, or give --storage URL."
            )
        return ""

    def _is_free(self, folder: Path) -> bool:
        """Wait for the lock of a work_dir, which a lost node may hold for a while."""
        deadline = time.monotonic() + LOCK
        while (folder / ".lock").is_file():
            with folder_lock(folder) as free:
                if free:
                    return True
            if time.monotonic() > deadline:
                write_text(
                    self.job.log,
                    f"error: {folder}: its lock is held for {LOCK:.0f} s. If no process trains in "
                    f"it any more (a lost node, NFS version 3), remove {folder / '.lock'}.\n",
                )
                return False
            if self.tell("waits for the lock"):
                return False
            time.sleep(TELL)
        return True

    def _with_storage(self, held: ExitStack) -> int:
        """Run in a folder of this node's own, which is copied to the storage."""
        job = self.job
        storage = Storage(job.storage)
        own = Path(tempfile.gettempdir()) / "cliqa_run"  # those of killed processes are removed
        root = held.enter_context(temporary_folder(own))
        bring_needs(storage, job, root / "before")
        folder, place = root / Path(job.folder).name, job.place_of(job.folder)
        storage.claim(place, job.owner)
        storage.fetch(place, folder)
        arguments = tuple(str(folder) if one == job.folder else one for one in job.arguments)
        here = replace(job, arguments=arguments, log=str(root / "log"), folder=str(folder))
        copying = Copying(storage, folder, place, job.owner)
        status = self._watch(here, copying.look)
        storage.keep_log(place, root / "log")
        return status if copying.finish() else 1

    def _watch(self, job: Job, look: Callable[[], bool]) -> int:
        """Start the process and wait for its end; `look` returns whether it must stop."""
        folder, told = Path(job.folder), 0.0
        self._process = process = _start(job)
        try:
            while process.poll() is None:
                if time.monotonic() - told >= TELL:
                    told = time.monotonic()
                    if self.tell(progress_of(folder)) or look():
                        self.end()
                        break
                time.sleep(POLL)
        finally:
            self.end()
        return int(process.wait())


def _files_of(arguments: Sequence[str]) -> list[str]:
    """Return the files of a command line that a node must have: Python, a script, the config."""
    words = itertools.takewhile(lambda word: not word.startswith("--"), arguments[1:])
    return [arguments[0], *(word for word in words if word.endswith(".py"))]


def _start(job: Job) -> subprocess.Popen[bytes]:
    """Start a run's process, which ends with this one, with its output in its log."""
    log = Path(job.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    guard = python_command("-I", "-S", with_parent.__file__, str(os.getpid()))
    with log.open("wb") as file:
        return subprocess.Popen(
            [*guard, *job.arguments],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**single(os.environ), **job.variables},
            start_new_session=True,
        )


def _appears(path: Path, content: str) -> bool:
    """Return whether a file with a content is there, or comes: network drives take a while."""
    deadline = time.monotonic() + SEEN
    while True:
        if read_token(path) == content:
            return True
        if not path.parent.is_dir() or time.monotonic() > deadline:
            return False
        time.sleep(POLL)


def progress_of(folder: Path) -> str:
    """Return how far a run is, from the last row that it has written; "" before that."""
    try:
        path = folder / "metrics.jsonl"
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 8192))
            row = json.loads(file.read().splitlines()[-1])
        number = int(row["experience"]) + 1
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return ""
    epoch = f", epoch {row['epoch']}" if "epoch" in row else ""
    return f"experience {number}{epoch}"
