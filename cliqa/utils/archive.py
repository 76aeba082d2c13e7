"""Zip archives of strangers: what they declare is checked before anything is unpacked."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

ENTRIES = 2**16
LARGEST_ARRAYS = 2**30
"""Bytes that the arrays of an ``.npz`` may have together, unpacked."""


class ArchiveError(ValueError):
    """An archive is damaged, or would unpack into too much."""


def check_archive(file: str | Path | IO[bytes], largest: int) -> dict[str, int]:
    """Refuse an archive whose entries say that they unpack into more than a number of bytes.

    No entry gives more bytes than it says: `zipfile` reads no further.

    Args:
        file: The archive.
        largest: The most bytes of all entries together.

    Returns:
        The bytes of each entry, by name.

    Raises:
        ArchiveError: It is damaged, encrypted, has two entries of one name, or is too large.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  damage surfaces in zipfile as any error
        raise ArchiveError(f"no readable archive: {error}") from error
    sizes = {entry.filename: entry.file_size for entry in entries}
    total = sum(entry.file_size for entry in entries)
    if total > largest:
        raise ArchiveError(f"it would unpack into {total} bytes, and {largest} are the most")
    if len(sizes) < len(entries) or len(entries) > ENTRIES:
        raise ArchiveError("two of its entries have one name, or there are too many")
    if any(entry.flag_bits & 1 for entry in entries):
        raise ArchiveError("it is encrypted")
    return sizes


def read_npz(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return named arrays of an ``.npz`` file; no object in it is unpickled.

    Args:
        path: The file.
        names: The arrays wanted.

    Raises:
        ArchiveError: It is damaged, too large, or an array is not what its header says.
        KeyError: An array is missing.
        OSError: It cannot be read.
    """
    sizes = check_archive(path, LARGEST_ARRAYS)
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in names:
            if f"{name}.npy" not in sizes:
                raise KeyError(f"{name} is not a file in the archive")
            try:
                with archive.open(f"{name}.npy") as entry:
                    arrays[name] = _read_array(entry, sizes[f"{name}.npy"])
            except Exception as error:  # noqa: BLE001  zipfile, zlib and numpy raise anything
                raise ArchiveError(f"array '{name}': {error}") from error
    return arrays


def _read_array(entry: IO[bytes], size: int) -> np.ndarray:
    """Return an array whose header tells its true size."""
    version = npy.read_magic(entry)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ArchiveError(f"format {version} is unknown")
    shape, by_column, dtype = read(entry)
    if dtype.hasobject:
        raise ArchiveError("it holds Python objects")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - entry.tell():
        raise ArchiveError(f"its size is not that of {dtype} of shape {shape}")
    if not count * dtype.itemsize:
        return np.zeros(shape, dtype)
    values = np.frombuffer(entry.read(), dtype)
    return values.reshape(shape, order="F" if by_column else "C").copy()
