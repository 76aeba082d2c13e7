"""Checksums of files, so that a flipped bit is an error and no other number.

What PyTorch saves is a zip file, and a zip has a CRC of every entry's bytes. PyTorch writes the
CRCs and does not look at them; here they are compared. Two things are added to the file, which any
reader of zip files passes by:

* an entry ``checksum`` beside the others: a digest of their names, sizes and CRCs, so that entries
  cannot be exchanged,
* the zip's own comment: a digest of every byte between the entries' contents.

Together they cover the whole file, and cost no pass over the content when it is written.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

ENTRY = "checksum"
"""Name of the entry, in the folder that the others are in."""

MARK = b"cliqa checksum "
"""What the zip's comment begins with; the digest follows."""

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
"""What reading a damaged zip raises, by where the damage is."""


def digest_of(*contents: bytes) -> str:
    """Return a digest of bytes, `LENGTH` characters long."""
    digest = hashlib.blake2b(digest_size=LENGTH // 2)
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def resembles(found: bytes, mark: bytes) -> bool:
    """Return whether bytes are a mark that a few flipped bits may have changed.

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
    """Return what is wrong with a zip file, None if nothing is.

    In files without our checksums the CRCs alone are compared; what is no zip file has none.

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
        except NotImplementedError:  # packed in a way that Python does not know
            return MISMATCH if sealed else None
        except BROKEN as error:
            return MISMATCH if sealed else _said(error)


def _damage_in(file: IO[bytes], archive: zipfile.ZipFile, end: bytes | None) -> str | None:
    """Return what is wrong with an open zip file; `end` is the comment where it has one of ours."""
    for entry in archive.infolist():
        with archive.open(entry) as content:
            while content.read(BLOCK):  # compares the CRC at the end
                pass
    entries = archive.infolist()
    own = [entry for entry in entries if _is_own(entry)]
    if end is None and not own:
        return None
    if end is None:  # an entry of ours, and no comment: packed again, or cut off
        whole = _last(file, 2) == bytes(2) and archive.read(own[-1]) == _contents(entries)
    else:
        whole = end == MARK + _frame(file, entries).encode()
    return None if whole else MISMATCH


def _is_own(entry: zipfile.ZipInfo) -> bool:
    """Return whether an entry is the one that holds a digest of the others."""
    return entry.filename.rpartition("/")[2] == ENTRY


def _contents(entries: Iterable[zipfile.ZipInfo]) -> bytes:
    """Return the digest of all entries but our own."""
    others = (entry for entry in entries if not _is_own(entry))
    lines = sorted(f"{entry.filename}\0{entry.file_size}\0{entry.CRC}" for entry in others)
    return digest_of("\n".join(lines).encode()).encode()


def _frame(file: IO[bytes], entries: Iterable[zipfile.ZipInfo]) -> str:
    """Return the digest of every byte that is no entry's content, the digest's own place apart."""
    digest = hashlib.blake2b(digest_size=LENGTH // 2)
    position = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        file.seek(position)
        header = file.read(entry.header_offset + LOCAL_HEADER - position)
        lengths: tuple[int, int] = struct.unpack("<HH", header[-4:])
        digest.update(header)
        digest.update(file.read(sum(lengths)))
        position = entry.header_offset + LOCAL_HEADER + sum(lengths) + entry.compress_size
    file.seek(position)
    digest.update(file.read()[:-LENGTH])
    return digest.hexdigest()


def _last(file: IO[bytes], count: int) -> bytes:
    """Return the last bytes of a file, fewer where it is shorter."""
    file.seek(max(0, file.seek(0, 2) - count))
    return file.read()


def _said(error: Exception) -> str:
    """Return what an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
