"""Locks on open files and folders, and the temporary files that killed processes left behind.

A lock ends with its process, however that ends, so an unlocked temporary file is a leftover.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from cliqa.utils.logging import get_logger

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

AVAILABLE = fcntl is not None
"""Whether the system supports file locks."""

RANDOM = "[a-z0-9_]{8}"
"""The random part of `tempfile`'s names."""

logger = get_logger(__name__)

_OF_PARENT_ALONE: set[IO[Any]] = set()
"""Files whose locks a forked child must not hold."""


def lock(file: int | IO[Any], *, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed.

    Args:
        file: The file, or its descriptor.
        wait: Wait until another process releases it.

    Returns:
        False if another process holds it; None if the system or the file system has no locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a network file system that is mounted without locks
        return None
    return True


def is_locked(path: Path) -> bool:
    """Return whether another process, or another open file, holds the lock of a file.

    Looking does not lock: two that look at the same time see the same. False if there is no such
    file, and if the system or the file system has no locks.
    """
    if fcntl is None:
        return False
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def keep_from_children(file: IO[Any]) -> None:
    """Let forked children close their copy, so that the lock ends with the parent."""
    closed = [one for one in list(_OF_PARENT_ALONE) if one.closed]  # threads may add some
    _OF_PARENT_ALONE.difference_update(closed)
    _OF_PARENT_ALONE.add(file)


def _close_in_child() -> None:
    """Close a forked child's copies of locked files."""
    for file in _OF_PARENT_ALONE:
        file.close()
    _OF_PARENT_ALONE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)


@contextlib.contextmanager
def folder_lock(folder: str | Path, name: str = ".lock") -> Iterator[bool]:
    """Lock a folder for one process; the lock ends with the process.

    Args:
        folder: An existing folder.
        name: The lock file in it; another name is another lock.

    Yields:
        False if another process holds it. Always true if the system has no locks.
    """
    if not AVAILABLE:
        yield True
        return
    path = Path(folder) / name
    while True:
        with path.open("a") as file:
            held = lock(file)
            if held and not _is_at(file, path):  # removed, or replaced, before it was locked
                continue
            keep_from_children(file)
            if held is None:
                logger.warning(
                    "%s: this file system has no locks; start one process at a time in it", folder
                )
            yield held is not False
            return


def _is_at(file: IO[Any], path: Path) -> bool:
    """Return whether an open file is the file at `path`."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove temporary files that a killed `atomic_open` or `replace_by_link` left in a folder.

    Only files with their names for one of `names` that no process is writing are removed.

    Args:
        folder: A folder, without its subfolders; it may be missing.
        names: Names, or patterns of names, of the files written there.
    """
    for temporary, name in _matching(folder, rf"\.(.+)\.{RANDOM}\.tmp"):
        if any(fnmatchcase(name, pattern) for pattern in names) and temporary.is_file():
            with _locked(temporary) as dead:
                if dead:
                    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make an empty folder beside `path`, and remove it at the end unless it was renamed.

    Such folders of killed processes are removed first. A lock marks the ones in use: process
    numbers are reused, in containers every time.

    Args:
        path: Determines the place and the name, ``.NAME.RANDOM.tmp``.

    Raises:
        OSError: The folder cannot be created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_dead_folders(path)
    descriptor, name = new_locked_file(path, ".lock")
    held = Path(name)
    folder = _folder_of(path, held.name.split(".")[-2])
    with os.fdopen(descriptor, "w") as file:
        keep_from_children(file)
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            held.unlink(missing_ok=True)
            _remove_dead_folders(path)  # of concurrent processes


def _remove_dead_folders(path: Path) -> None:
    """Remove the temporary folders of killed processes beside a path."""
    for own_lock, token in _matching(path.parent, rf"\.{re.escape(path.name)}\.({RANDOM})\.lock"):
        with _locked(own_lock) as dead:
            if dead:
                shutil.rmtree(_folder_of(path, token), ignore_errors=True)
                own_lock.unlink(missing_ok=True)


def _folder_of(path: Path, token: str) -> Path:
    """Return the temporary folder beside a path for a random part of a name."""
    return path.with_name(f".{path.name}.{token}.tmp")


def new_locked_file(path: Path, suffix: str) -> tuple[int, str]:
    """Return a new file ``.NAME.RANDOMsuffix`` beside `path`, locked while it is open.

    Returns:
        Its descriptor, and its name.
    """
    while True:
        descriptor, name = tempfile.mkstemp(suffix, prefix=f".{path.name}.", dir=path.parent)
        lock(descriptor, wait=True)
        if os.path.exists(name):
            return descriptor, name
        os.close(descriptor)  # removed as a leftover before it was locked


def _matching(folder: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """Yield a folder's entries whose whole name matches a pattern, with its first group."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(folder):
            found = re.fullmatch(pattern, name, re.DOTALL)
            if found:
                yield folder / name, found[1]


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Lock a file inside the block; False if it is in use, or that cannot be determined."""
    try:
        file = path.open("r+b")
    except OSError:
        yield False
        return
    with file:
        yield lock(file) is True
