"""What killed processes were about to write: found by its name, and proved dead by its lock."""

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

from cliqa.utils import locks

RANDOM = "[a-z0-9_]{8}"
"""What `tempfile` puts into a name."""


def remove_leftovers(folder: Path, *names: str) -> None:
    """Remove the temporary files that `atomic_open` and `replace_by_link` could not rename.

    A file goes if its name is theirs for one of `names`, and no process writes it. Others' hidden
    files stay.

    Args:
        folder: A folder, looked at alone; it need not be there.
        names: Names, or patterns of names, of the files that are written there.
    """
    for temporary, name in _matching(folder, rf"\.(.+)\.{RANDOM}\.tmp"):
        if any(fnmatchcase(name, pattern) for pattern in names) and temporary.is_file():
            with _taken(temporary) as dead:
                if dead:
                    temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make an empty folder beside `path`, which is removed at the end unless it was renamed.

    What a killed process has left of such a folder is removed first. A lock tells it from one that
    is being filled: process numbers come again, in containers every time.

    Args:
        path: Gives the place and the name, ``.NAME.RANDOM.tmp``.

    Raises:
        OSError: The place cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_dead_folders(path)
    file, held = _new_lock(path)
    folder = _folder_of(path, held.name.split(".")[-2])
    with file:
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            held.unlink(missing_ok=True)
            _remove_dead_folders(path)  # of others, who were at it at the same time


def _remove_dead_folders(path: Path) -> None:
    """Remove the temporary folders beside a path whose makers were killed."""
    for own_lock, token in _matching(path.parent, rf"\.{re.escape(path.name)}\.({RANDOM})\.lock"):
        with _taken(own_lock) as dead:
            if dead:
                shutil.rmtree(_folder_of(path, token), ignore_errors=True)
                own_lock.unlink(missing_ok=True)


def _folder_of(path: Path, token: str) -> Path:
    """Return the temporary folder beside a path whose lock has the same random name."""
    return path.with_name(f".{path.name}.{token}.tmp")


def _new_lock(path: Path) -> tuple[IO[Any], Path]:
    """Return a new locked file beside a path, and where it lies."""
    while True:
        descriptor, name = tempfile.mkstemp(".lock", prefix=f".{path.name}.", dir=path.parent)
        file = os.fdopen(descriptor, "w")
        locks.lock(file, wait=True)
        if os.path.exists(name):
            locks.keep_from_children(file)
            return file, Path(name)
        file.close()  # it was taken for a leftover in the moment before it was locked


def _matching(folder: Path, pattern: str) -> Iterator[tuple[Path, str]]:
    """Yield a folder's entries whose whole name has a pattern, with the pattern's first group."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(folder):
            found = re.fullmatch(pattern, name, re.DOTALL)
            if found:
                yield folder / name, found[1]


@contextlib.contextmanager
def _taken(path: Path) -> Iterator[bool]:
    """Hold a file inside the block; False if it is in use, or that cannot be known."""
    try:
        file = path.open("r+b")
    except OSError:
        yield False
        return
    with file:
        yield locks.lock(file) is True
