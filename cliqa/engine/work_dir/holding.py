"""Locks of folders: one process at a time trains, or runs a study, in a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from cliqa.utils.errors import ArtifactError
from cliqa.utils.locks import folder_lock


def make_folder(root: Path) -> None:
    """Create a work_dir; of a link, the folder that it points to.

    Raises:
        ArtifactError: It cannot be made or written to.
    """
    try:
        if root.is_symlink():  # where the parent of its target is missing, so is a disk
            root.resolve().mkdir(exist_ok=True)
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # a RuntimeError of links that lead in a circle
        raise unusable(root, error) from error
    if not os.access(root, os.W_OK):
        raise ArtifactError(f"work_dir {root}: not writable. Choose another: --work-dir.")


def unusable(root: Path, error: OSError | RuntimeError) -> ArtifactError:
    """Return the error of a work_dir that cannot be created or written to."""
    reason = error.strerror if isinstance(error, OSError) else "its links lead in a circle"
    link = f", a link to {os.readlink(root)}," if root.is_symlink() else ""
    return ArtifactError(
        f"work_dir {root}{link}: cannot be made ({reason}). Choose another with --work-dir."
    )


@contextlib.contextmanager
def training_lock(root: Path) -> Iterator[None]:
    """Lock a work_dir inside the block.

    Raises:
        ArtifactError: Another process trains in it, or it cannot be written to.
    """
    with contextlib.ExitStack() as held:
        try:
            mine = held.enter_context(folder_lock(root))
        except OSError as error:
            raise unusable(root, error) from error
        if not mine:
            raise ArtifactError(
                f"work_dir {root}: another process is training in it. Wait for it, or choose "
                "another folder with --work-dir."
            )
        yield


@contextlib.contextmanager
def only_one(folder: Path, what: str, lock: str = ".lock") -> Iterator[None]:
    """Create a tool's folder, and lock it inside the block; `what` runs in it, for the message.

    Raises:
        ArtifactError: Another process holds it, or it cannot be written to.
    """
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            mine = held.enter_context(folder_lock(folder, lock))
        except OSError as error:
            raise ArtifactError(
                f"{folder}: cannot be written to ({error.strerror}). Choose another folder with "
                "--out."
            ) from error
        if not mine:
            raise ArtifactError(
                f"{folder}: another {what} is running in it. Wait for it, or choose another folder "
                "with --out."
            )
        yield


class ReadCheckpoint:
    """A checkpoint that was read before its folder was locked; made when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = self._look()

    def check_unchanged(self, root: Path) -> None:
        """Refuse a file that another process has replaced or moved since it was read."""
        if self._look() != self._seen:
            raise ArtifactError(
                f"work_dir {root}: another process has trained in it since this one read "
                f"{self.path.name}. Start again to resume from there."
            )

    def _look(self) -> tuple[int, ...] | None:
        """Return what changes when the file is replaced; None if it is missing."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
