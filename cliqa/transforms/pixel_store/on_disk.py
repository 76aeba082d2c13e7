"""Images in a memory-mapped file (LMDB), which runs and workers share and later runs find again.

An entry's key holds the image file's path, size and time, so that a file that changes is decoded
again. Writes are not synchronised with the disk one by one; after a crash of the machine (not of a
program) the file is thrown away.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import torch
from torch import Tensor

from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

MARK = ".unsynced-"

SHAPE = struct.Struct("<III")
"""Channels, height and width before an entry's pixels."""

MARKED = 64
"""Images that are written before the mark of a file that is being written is looked at again."""

READERS = 2048
"""Processes and threads that may read a file at a time."""

_open: dict[str, Any] = {}
"""What this process has open, by file: no process may open one twice."""
_opening = threading.RLock()


def close_all(write: bool = False) -> None:
    """Close the files of this process; `write` waits until all is on the disk."""
    with _opening:
        while _open:
            name, environment = _open.popitem()
            with contextlib.suppress(lmdb.Error):
                if write:
                    environment.sync(True)
                    _mark(Path(name)).unlink(missing_ok=True)
            environment.close()


atexit.register(close_all, write=True)  # not in workers, whose writes this covers
if hasattr(os, "register_at_fork"):  # no process may use, or inherit, what its parent opened
    os.register_at_fork(before=close_all)


class PixelFile:
    """A store in a file.

    Args:
        path: The file; made if it is not there.
        capacity: Bytes that it may have.
        recipe: What decides about the pixels beside the image: steps, decoder, versions.
    """

    def __init__(self, path: Path, capacity: int, recipe: str) -> None:
        self.path, self.capacity, self.recipe = path, capacity, recipe
        self._takes_more = True
        self._written = 0

    def __deepcopy__(self, _: object) -> PixelFile:
        return self

    def get(self, file: str) -> Tensor | None:
        """Return an image, not to be written to; None if it is not there."""
        key = self._key(file)
        if key is None:
            return None
        with self._told(), self._environment().begin(buffers=True) as transaction:
            value = transaction.get(key)
            if value is None or len(value) < SHAPE.size:
                return None
            shape = SHAPE.unpack_from(value)
            if len(value) - SHAPE.size != shape[0] * shape[1] * shape[2]:
                return None
            # copied: the mapping is valid within the transaction alone
            return torch.frombuffer(bytearray(value), dtype=torch.uint8)[SHAPE.size :].view(shape)
        return None

    def put(self, file: str, image: Tensor) -> None:
        """Keep an image, if there is room."""
        key = self._key(file)
        if key is None or not self._takes_more or image.dtype != torch.uint8 or image.dim() != 3:
            return
        self._written += 1
        if self._written % MARKED == 0:  # another run may have removed it, with all on the disk
            with contextlib.suppress(OSError):
                _mark(self.path).touch()
        value = SHAPE.pack(*image.shape) + image.contiguous().numpy().tobytes()
        with self._told(), self._environment().begin(write=True) as transaction:
            transaction.put(key, value)

    def _key(self, file: str) -> bytes | None:
        """Return what stands for an image file as it is now; None if it is not there."""
        try:
            status = os.stat(file)
        except OSError:
            return None
        state = (self.recipe, os.path.abspath(file), status.st_size, status.st_mtime_ns)
        return hashlib.blake2b(os.fsencode(repr(state)), digest_size=24).digest()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Go on without the file where it fails, and say so once."""
        try:
            yield
        except (lmdb.Error, OSError) as error:
            if self._takes_more:
                self._takes_more = False
                full = isinstance(error, lmdb.MapFullError)
                reason = f"it has {self.capacity} bytes" if full else str(error)
                logger.warning("%s: keeps no more images (%s).", self.path, reason)

    def _environment(self) -> Any:  # noqa: ANN401  lmdb has no types
        """Return this process's open file."""
        name = str(self.path)
        with _opening:
            if name not in _open:
                _open[name] = open_file(self.path, self.capacity)
            return _open[name]


def open_file(path: Path, capacity: int) -> Any:  # noqa: ANN401  lmdb has no types
    """Open a file of pixels for this process; start a new one where it is not whole.

    Raises:
        OSError: It cannot be written.
        lmdb.Error: So too.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_file() and not _is_whole(path):
        logger.warning("%s: is not whole; its images are decoded again.", path)
        path.unlink(missing_ok=True)
        Path(f"{path}-lock").unlink(missing_ok=True)
    _mark(path).touch()
    return _lmdb(path, map_size=capacity + 2**24, sync=False, readahead=False)


def _lmdb(path: Path, **options: Any) -> Any:  # noqa: ANN401  lmdb has no types
    """Open a file with LMDB."""
    return lmdb.open(str(path), subdir=False, max_readers=READERS, **options)


def _is_whole(path: Path) -> bool:
    """Return whether a file can be used: the machine did not crash, and nothing is cut off."""
    before = [mark for mark in path.parent.glob(f"{path.name}{MARK}*") if mark != _mark(path)]
    for mark in before:
        mark.unlink(missing_ok=True)
    if before:
        return False
    try:
        with _lmdb(path, readonly=True, lock=False) as environment:
            pages = environment.info()["last_pgno"] + 1
            return bool(path.stat().st_size >= pages * environment.stat()["psize"])
    except (lmdb.Error, OSError):
        return False


def _mark(path: Path) -> Path:
    """Return the file that is there while not all that was written is on the disk."""
    return path.with_name(f"{path.name}{MARK}{_boot()}")


def _boot() -> str:
    """Return what changes when the machine starts anew."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return "unknown"
