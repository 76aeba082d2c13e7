"""Images in memory that a process shares with its data loaders' workers.

Workers are forked: what one of them decodes all others find. Where processes are not forked
(macOS, Windows) each has a store of its own.

The memory is a ring. A place in it is a number of bytes since the beginning that only grows: what
lies more than one round behind has been overwritten.
"""

from __future__ import annotations

import hashlib
import mmap
import multiprocessing
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

KEY, PLACE, SHAPE = 0, 1, 2
"""The columns of the table: a hash of the file's name, the place + 1, the packed shape."""

BITS = 20
"""Bits of a height and of a width."""

PATIENCE = 1.0
"""Seconds to wait for another writer: a worker that was killed while it wrote never ends."""


class SharedPixels:
    """A store in shared memory.

    Args:
        capacity: Bytes of all pixels; the system takes them as they are written.
        images: How many different images there may be.
        overwrite: When it is full, forget the oldest images; else keep no more.
    """

    def __init__(self, capacity: int, images: int, overwrite: bool = False) -> None:
        self.capacity, self.images, self.overwrite = max(1, capacity), images, overwrite
        slots = 1 << (2 * max(1, images)).bit_length()
        self._memory = mmap.mmap(-1, self.capacity)
        self._pixels = np.frombuffer(self._memory, np.uint8)
        self._table = np.frombuffer(mmap.mmap(-1, slots * 24), np.int64).reshape(slots, 3)
        self._head = np.frombuffer(mmap.mmap(-1, 8), np.int64)
        self._lock = _lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Give a process that is not forked an empty store of the same size."""
        return type(self), (self.capacity, self.images, self.overwrite)

    def __deepcopy__(self, _: object) -> SharedPixels:
        return self

    @property
    def used(self) -> int:
        """Bytes in use."""
        return min(int(self._head[0]), self.capacity)

    def get(self, file: str) -> Tensor | None:
        """Return an image, not to be written to; None if it is not there."""
        slot = self._slot(_key(file))
        if slot is None:
            return None
        place, packed = int(self._table[slot, PLACE]) - 1, int(self._table[slot, SHAPE])
        if place < 0 or not self._is_there(place):
            return None
        start, shape = place % self.capacity, _unpacked(packed)
        count = shape[0] * shape[1] * shape[2]
        pixels = torch.from_numpy(self._pixels[start : start + count]).view(shape)
        if not self.overwrite:
            return pixels
        copy = pixels.clone()
        # a writer invalidates what it overwrites before it writes: what is there now is whole
        whole = self._is_there(place) and int(self._table[slot, PLACE]) - 1 == place
        return copy if whole else None

    def put(self, file: str, image: Tensor) -> None:
        """Keep an image, if there is room."""
        count = image.numel()
        if image.dtype != torch.uint8 or image.dim() != 3 or not 0 < count <= self.capacity:
            return
        if max(image.shape[1:]) >= 1 << BITS:
            return
        if not self._lock.acquire(timeout=PATIENCE):
            return
        try:
            self._write(_key(file), image, count)
        finally:
            self._lock.release()

    def _write(self, key: int, image: Tensor, count: int) -> None:
        """Copy an image to the next place, if there is one; nobody else writes meanwhile."""
        slot = self._slot(key)
        if slot is None or (place := self._room(count)) is None:
            return
        row = self._table[slot]
        row[PLACE] = 0
        self._head[0] = place + count
        start = place % self.capacity
        target = torch.from_numpy(self._pixels[start : start + count]).view(image.shape)
        target.copy_(image)
        row[SHAPE] = _packed(image)
        row[KEY], row[PLACE] = key, place + 1

    def _is_there(self, place: int) -> bool:
        """Return whether what was written at a place has not been overwritten."""
        return place + self.capacity >= int(self._head[0])

    def _room(self, count: int) -> int | None:
        """Return the place of the next image; None if there is none."""
        place = int(self._head[0])
        left = self.capacity - place % self.capacity
        if left < count:
            place += left  # an image is not cut in two
        if not self.overwrite and place + count > self.capacity:
            return None
        return place

    def _slot(self, key: int) -> int | None:
        """Return the row of a key, or the free one where it belongs; None if the table is full."""
        slots = len(self._table)
        first = key & (slots - 1)
        for step in range(slots):
            slot = (first + step) & (slots - 1)
            found = int(self._table[slot, KEY])
            if found in (0, key):
                return slot
        return None


def _key(file: str) -> int:
    """Return 63 bits that stand for a file's name, never 0."""
    digest = hashlib.blake2b(file.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1 | 1


def _packed(image: Tensor) -> int:
    """Return the shape of an image as one number."""
    channels, height, width = image.shape
    return (channels << BITS | height) << BITS | width


def _unpacked(packed: int) -> tuple[int, int, int]:
    """Return channels, height and width."""
    edge = (1 << BITS) - 1
    return packed >> 2 * BITS, packed >> BITS & edge, packed & edge


def workers_are_forked() -> bool:
    """Return whether worker processes share this one's memory."""
    return "fork" in multiprocessing.get_all_start_methods()


def _lock() -> Any:  # noqa: ANN401  either kind of lock
    """Return a lock that forked processes share, or one of this process where none are forked."""
    if workers_are_forked():
        return multiprocessing.get_context("fork").Lock()
    return threading.Lock()
