"""SHA-256 of image files, remembered between runs in the cache folder.

An entry holds for a file whose path, size, time of change and inode are those it was made from.
The index is a database of SQLite: data, written in transactions, shared by runs at the same time.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from cliqa.utils.cache_folder import cache_folder
from cliqa.utils.errors import DatasetError
from cliqa.utils.io import sha256_of
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

FILE_NAME = "contents.sqlite3"

MOST = 1_000_000
"""Entries at most, of about 150 bytes each: the oldest go first."""

FRESH = 2.0
"""Seconds: a file that changed so lately may change again without another time of change."""

_AT_ONCE = 5_000
_TABLE = (
    "CREATE TABLE IF NOT EXISTS contents (path BLOB PRIMARY KEY, size INTEGER, changed INTEGER, "
    "inode INTEGER, digest BLOB)"
)
_GET = "SELECT size, changed, inode, digest FROM contents WHERE path = ?"
_PUT = "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM contents WHERE rowid <= (SELECT MAX(rowid) FROM contents) - ?"

Entry = tuple[bytes, int, int, int, bytes]


class ContentIndex:
    """Digests of files; see `open_index`.

    Args:
        database: The open database; None remembers nothing.
    """

    def __init__(self, database: sqlite3.Connection | None = None) -> None:
        self._database = database
        self._new: list[Entry] = []

    def sha256(self, file: str) -> bytes:
        """Return the digest of a file's content, read only if it is not known.

        Raises:
            DatasetError: The file cannot be read.
        """
        try:
            found = os.stat(file)
            stamp = (found.st_size, found.st_mtime_ns, found.st_ino)
            path = os.fsencode(os.path.abspath(file))
            known = self._known(path, stamp)
            if known is not None:
                return known
            digest = bytes.fromhex(sha256_of(file))
        except OSError as error:
            raise DatasetError(f"{file}: cannot be read ({error}).") from error
        if time.time() - found.st_mtime > FRESH:
            self._new.append((path, *stamp, digest))
            if len(self._new) >= _AT_ONCE:
                self.write()
        return digest

    def write(self) -> None:
        """Write what is new."""
        new, self._new = self._new, []
        if self._database is None or not new:
            return
        try:
            with self._database:
                self._database.executemany(_PUT, new)
                self._database.execute(_FORGET, (MOST,))
        except sqlite3.Error as error:
            self._give_up(error)

    def _known(self, path: bytes, stamp: tuple[int, int, int]) -> bytes | None:
        """Return the digest of a file that is as it was."""
        if self._database is None:
            return None
        try:
            row = self._database.execute(_GET, (path,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        fits = row is not None and row[:3] == stamp and isinstance(row[3], bytes)
        return row[3] if fits and len(row[3]) == hashlib.sha256().digest_size else None

    def _give_up(self, error: sqlite3.Error) -> None:
        """Go on without the index."""
        self._database = None
        _tell(error)


@contextmanager
def open_index() -> Iterator[ContentIndex]:
    """Open the index of the cache folder inside the block.

    One that is damaged or cannot be written is left alone, with a line in the log: files are read
    then.
    """
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(folder / FILE_NAME, timeout=10)
    except (OSError, sqlite3.Error, RuntimeError) as error:
        _tell(error)
        yield ContentIndex()
        return
    with closing(database):
        index = ContentIndex(database)
        try:
            with database:
                database.execute(_TABLE)
        except sqlite3.Error as error:
            if "readonly" not in str(error):  # of one that is there, entries can be read
                index._give_up(error)
        yield index
        index.write()


def _tell(error: Exception) -> None:
    """Say that the index is not used."""
    path = cache_folder() / FILE_NAME
    logger.warning("%s: not used (%s), so equally large images are read", path, error)
