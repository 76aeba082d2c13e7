"""Zip archives: size limits, arrays of ``.npz`` files, and checksums of what PyTorch saves.

A file that PyTorch saves is a zip, with a CRC of every entry. PyTorch writes the CRCs and does not
check them; here they are checked, and two digests are added that other readers of zip files ignore:

* an entry ``checksum``: a digest of the other entries' names, sizes and CRCs,
* the zip's comment: a digest of every byte outside the entries' contents.

Together they cover the whole file, and writing them needs no pass over the content.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from cliqa.utils.errors import first_line

ENTRIES = 2**16
"""The most entries of an archive."""

LARGEST_ARRAYS = 2**30
"""The most bytes of the arrays that are read of an ``.npz`` file at once, unpacked."""

_ANY = 2**63

ENTRY = "checksum"
"""Name of the entry, in the same folder as the others."""

MARK = b"cliqa checksum "
"""Start of the zip's comment; the digest follows."""

LENGTH = 32
"""Characters of a digest."""

MISMATCH = "its content does not match its checksum"

BLOCK = 1 << 20
LOCAL_HEADER = 30
"""Bytes before the name of an entry."""

BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(ValueError, RuntimeError, LookupError, OverflowError),
)
"""Errors of reading a damaged zip."""


class ArchiveError(ValueError):
    """An archive is damaged, or would unpack into too much."""


def check_archive(file: str | Path | IO[bytes], largest: int) -> dict[str, int]:
    """Refuse an archive that is damaged or declares a larger unpacked size than allowed.

    `zipfile` never reads more of an entry than its declared size.

    Args:
        file: The archive.
        largest: The most bytes of all entries together.

    Returns:
        The size of each entry in bytes, by name.

    Raises:
        ArchiveError: It is damaged, encrypted, too large, or has duplicate entries.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001  damage surfaces in zipfile as any error
        raise ArchiveError(f"not a readable archive: {error}") from error
    sizes = {entry.filename: entry.file_size for entry in entries}
    total = sum(entry.file_size for entry in entries)
    if total > largest:
        raise ArchiveError(f"it would unpack to {total} bytes; the limit is {largest}")
    if len(sizes) < len(entries) or len(entries) > ENTRIES:
        raise ArchiveError("it has duplicate entries, or too many")
    if any(entry.flag_bits & 1 for entry in entries):
        raise ArchiveError("it is encrypted")
    return sizes


def read_npz(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return named arrays of an ``.npz`` file; no object in it is unpickled.

    Args:
        path: The file.
        names: The arrays wanted.

    Raises:
        ArchiveError: It is damaged, too large, or an array does not match its header.
        KeyError: An array is missing.
        OSError: It cannot be read.
    """
    sizes = check_archive(path, _ANY)
    total = sum(sizes.get(f"{name}.npy", 0) for name in names)
    if total > LARGEST_ARRAYS:
        raise ArchiveError(f"it would unpack to {total} bytes; the limit is {LARGEST_ARRAYS}")
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


def array_names(path: str | Path) -> list[str]:
    """Return the names of the arrays of an ``.npz`` file; see `read_npz`.

    Raises:
        ArchiveError: It is damaged.
        OSError: It cannot be read.
    """
    sizes = check_archive(path, _ANY)
    return [name.removesuffix(".npy") for name in sizes if name.endswith(".npy")]


def _read_array(entry: IO[bytes], size: int) -> np.ndarray:
    """Return an array whose header matches its size."""
    version = npy.read_magic(entry)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ArchiveError(f"unknown format {version}")
    shape, by_column, dtype = read(entry)
    if dtype.hasobject:
        raise ArchiveError("it contains Python objects")
    count = math.prod(shape)
    if min(shape, default=0) < 0 or count * dtype.itemsize != size - entry.tell():
        raise ArchiveError(f"its size is not that of {dtype} of shape {shape}")
    if not count * dtype.itemsize:
        return np.zeros(shape, dtype)
    values = np.frombuffer(entry.read(), dtype)
    return values.reshape(shape, order="F" if by_column else "C").copy()


def digest_of(*contents: bytes) -> str:
    """Return a digest of bytes, `LENGTH` characters long."""
    digest = hashlib.blake2b(digest_size=LENGTH // 2)
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def resembles(found: bytes, mark: bytes) -> bool:
    """Return whether at least half of the bytes equal those of `mark`: flipped bits may differ.

    >>> resembles(b"cliqa chfcksum ", MARK), resembles(b"something other", MARK)
    (True, False)
    """
    same = sum(a == b for a, b in zip(found, mark, strict=False))
    return len(found) == len(mark) and 2 * same >= len(mark)


def seal_zip(file: IO[bytes]) -> None:
    """Add the checksums to a zip file.

    Args:
        file: The zip, open for reading and writing.
    """
    with zipfile.ZipFile(file, "a") as archive:
        folder, slash, _ = archive.infolist()[0].filename.rpartition("/")
        archive.writestr(zipfile.ZipInfo(folder + slash + ENTRY), _contents(archive.infolist()))
        archive.comment = MARK + bytes(LENGTH)
    digest = _frame(file, archive.infolist())
    file.seek(-LENGTH, 2)
    file.write(digest.encode())


def zip_damage(path: str | Path) -> str | None:
    """Return how a zip file is damaged, None if it is not.

    In files without our checksums only the CRCs are checked; other files have none.

    Args:
        path: An existing file.

    Raises:
        OSError: The file cannot be opened.
    """
    with open(path, "rb") as file:
        start = file.read(4)
        end = _last(file, len(MARK) + LENGTH)
        sealed = resembles(end[: len(MARK)], MARK)
        if not sealed and start != b"PK\x03\x04":
            return None
        try:
            with zipfile.ZipFile(file) as archive:
                return _damage_in(file, archive, end if sealed else None)
        except NotImplementedError:  # a compression that Python does not support
            return MISMATCH if sealed else None
        except BROKEN as error:
            return MISMATCH if sealed else first_line(error)


def _damage_in(file: IO[bytes], archive: zipfile.ZipFile, end: bytes | None) -> str | None:
    """Return how an open zip file is damaged; `end` is its comment if that is one of ours."""
    for entry in archive.infolist():
        with archive.open(entry) as content:
            while content.read(BLOCK):  # checks the CRC at the end
                pass
    entries = archive.infolist()
    own = [entry for entry in entries if _is_own(entry)]
    if end is None and not own:
        return None
    if end is None:  # our entry without our comment: repacked, or truncated
        whole = _last(file, 2) == bytes(2) and archive.read(own[-1]) == _contents(entries)
    else:
        whole = end == MARK + _frame(file, entries).encode()
    return None if whole else MISMATCH


def _is_own(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry is our digest of the others."""
    return entry.filename.rpartition("/")[2] == ENTRY


def _contents(entries: Iterable[zipfile.ZipInfo]) -> bytes:
    """Return the digest of all entries except our own."""
    others = (entry for entry in entries if not _is_own(entry))
    lines = sorted(f"{entry.filename}\0{entry.file_size}\0{entry.CRC}" for entry in others)
    return digest_of("\n".join(lines).encode()).encode()


def _frame(file: IO[bytes], entries: Iterable[zipfile.ZipInfo]) -> str:
    """Return the digest of every byte outside the entries' contents and the digest itself."""
    parts: list[bytes] = []
    position = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        file.seek(position)
        header = file.read(entry.header_offset + LOCAL_HEADER - position)
        lengths: tuple[int, int] = struct.unpack("<HH", header[-4:])
        parts += header, file.read(sum(lengths))
        position = entry.header_offset + LOCAL_HEADER + sum(lengths) + entry.compress_size
    file.seek(position)
    return digest_of(*parts, file.read()[:-LENGTH])


def _last(file: IO[bytes], count: int) -> bytes:
    """Return the last bytes of a file, fewer if it is shorter."""
    file.seek(max(0, file.seek(0, 2) - count))
    return file.read()
