"""Runs that are kept in a storage while they move between nodes, and fetched when they end."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from cliqa.studies.backends.jobs import Job
from cliqa.studies.backends.storage import LostPlaceError, Storage
from cliqa.utils.io import replace_by_link

COPY = 10.0
"""The least seconds between two copies to the storage."""


class Copying:
    """Copies a run's folder to the storage whenever its checkpoint has changed."""

    def __init__(self, storage: Storage, folder: Path, place: str, owner: str) -> None:
        self.storage, self.folder, self.place, self.owner = storage, folder, place, owner
        self._seen = self._checkpoint()
        self._copied = time.monotonic()
        self._lost = False

    def look(self) -> bool:
        """Copy what is new; return whether another attempt owns the run now."""
        now = self._checkpoint()
        if now != self._seen and time.monotonic() - self._copied >= COPY:
            self._copied = time.monotonic()
            with suppress(OSError):  # the storage does not answer: later again
                self.finish()
                self._seen = now
        return self._lost

    def finish(self) -> bool:
        """Copy the folder; return whether this attempt still owns the run."""
        try:
            if not self._lost:
                self.storage.push(self.folder, self.place, self.owner)
        except LostPlaceError:
            self._lost = True
        return not self._lost

    def _checkpoint(self) -> tuple[int, int] | None:
        try:
            found = (self.folder / "checkpoints" / "last.pth").stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino


def bring(storage: Storage, job: Job) -> None:
    """Copy what a run goes on from to the storage, where that does not have it yet."""
    folders = [Path(job.folder), *(Path(path).parents[1] for path in job.needs)]
    for folder in folders:
        place = job.place_of(str(folder))
        if folder.is_dir() and not storage.holds(place):
            storage.push(folder, place)


def bring_needs(storage: Storage, job: Job, scratch: Path) -> None:
    """Put the files of other runs that a run reads at the paths that its config names.

    Args:
        storage: Where these runs are kept.
        job: The run.
        scratch: A folder for what else is fetched.
    """
    for path in map(Path, job.needs):
        folder = path.parents[1]  # of the work_dir: it is an encoder in checkpoints
        storage.fetch(job.place_of(str(folder)), scratch / folder.name)
        found = scratch / folder.name / path.relative_to(folder)
        if found.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_by_link(found, path)


def take(storage: Storage, job: Job) -> None:
    """Copy a run that has ended from the storage to the study's folder."""
    place = job.place_of(job.folder)
    storage.fetch(place, Path(job.folder))
    storage.fetch_log(place, Path(job.log))
