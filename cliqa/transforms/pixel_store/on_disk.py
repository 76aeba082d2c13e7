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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import torch
from torch import Tensor

from cliqa.utils.logging import get_logger
from cliqa.utils.paths import evenly_spaced

logger = get_logger(__name__)

MARK = ".unsynced-"

SHAPE = struct.Struct("<IIIQ")
"""Channels, height, width and the sum of the pixels before an entry's pixels."""

LOCK_BYTES = 2**18
"""Bytes of LMDB's own file of locks, taken beforehand: on a full disk a mapped hole is a crash."""

MARKED = 64
"""Images that are written before the mark of a file that is being written is looked at again."""

DAMAGED = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.InvalidError)

READERS = 2048
"""Processes and threads that may read a file at a time."""

_used: set[str] = set()
"""The files that this process, or its workers, may have written to."""

_open: dict[str, Any] = {}
"""What this process has open, by file: no process may open one twice."""
_opening = threading.RLock()


def close_all(write: bool = False) -> None:
    """Close the files of this process; `write` waits until all is on the disk."""
    with _opening:
        while _open:
            _open.popitem()[1].close()
        while write and _used:
            path = Path(_used.pop())
            with contextlib.suppress(OSError):
                with path.open("rb") as file:
                    os.fsync(file.fileno())  # whatever process has written it
                _mark(path).unlink(missing_ok=True)


atexit.register(close_all, write=True)  # not in workers, whose writes this covers
if hasattr(os, "register_at_fork"):  # no process may use, or inherit, what its parent opened
    os.register_at_fork(before=close_all)


def forget_old_images(path: Path, recipe: str, files: Sequence[str]) -> None:
    """Remove a file that holds many images, and none of a sample of those that are there now.

    They were changed since, and it would be full of what nobody asks for again.
    """
    if not path.is_file() or not files:
        return
    store = PixelFile(path, path.stat().st_size, recipe)
    with contextlib.suppress(lmdb.Error, OSError):
        environment = store._environment()
        with environment.begin() as transaction:
            keys = map(store._key, evenly_spaced(files))
            found = any(transaction.get(key) for key in keys if key)
        if 2 * environment.stat()["entries"] >= len(files) and not found:
            close_all()
            path.unlink(missing_ok=True)
            Path(f"{path}-lock").unlink(missing_ok=True)


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
        _used.add(str(path))

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
            *shape, total = SHAPE.unpack_from(value)
            if len(value) - SHAPE.size != shape[0] * shape[1] * shape[2]:
                return None
            # copied: the mapping is valid within the transaction alone
            image = np.frombuffer(bytearray(value), np.uint8)[SHAPE.size :]
            return None if _sum(image) != total else torch.from_numpy(image).view(shape)
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
        pixels = image.contiguous().numpy()
        value = SHAPE.pack(*image.shape, _sum(pixels.reshape(-1))) + pixels.tobytes()
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
                if isinstance(error, DAMAGED):
                    self.path.unlink(missing_ok=True)  # the next run starts it anew
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
    _allocate(Path(f"{path}-lock"), LOCK_BYTES)
    return _lmdb(path, map_size=capacity + 2**24, sync=False, readahead=False)


def _allocate(path: Path, size: int) -> None:
    """Take a file's bytes on the disk; raise an OSError where there is no room."""
    if hasattr(os, "posix_fallocate"):
        with path.open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def _sum(pixels: np.ndarray) -> int:
    """Return the sum of the pixels (N,) in words of 64 bits, which tells most damage."""
    whole = len(pixels) // 8 * 8
    words = pixels[:whole].view(np.uint64).sum(dtype=np.uint64)
    return int(words) + int(pixels[whole:].sum(dtype=np.uint64)) & (1 << 64) - 1


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
