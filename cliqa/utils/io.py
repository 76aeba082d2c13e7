"""Atomic files: a reader sees the old or the new content, never a part of it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cliqa.utils import locks

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import ReadableBuffer

LONGEST_NAME = 240
"""The most bytes of a file's name that leave room for a temporary name's 14 more."""


@contextlib.contextmanager
def atomic_open(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that replaces it when the block succeeds.

    Args:
        path: The file to write. Its folder is created if it is missing.
        mode: ``"w"`` for text (UTF-8; undecodable bytes of file names are kept), ``"wb"`` for
            bytes, or ``"w+b"`` to read them too.

    Yields:
        The open temporary file. If the block raises, it is removed and `path` is unchanged.

    Raises:
        ValueError: `mode` is none of these.
        OSError: The file cannot be written, for example on a full disk. It names `path`, even if
            the writing library raised another error.
    """
    if mode not in ("w", "wb", "w+b"):
        raise ValueError(f"mode must be 'w', 'wb' or 'w+b', got {mode!r}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fits = len(os.fsencode(path.name)) <= LONGEST_NAME
    with named_error(path):
        descriptor, temporary = locks.new_locked_file(
            path if fits else path.with_name(path.name[:40]), ".tmp"
        )
    raw = _Raw(descriptor, "w+")
    locks.keep_from_children(raw)  # one that is forked meanwhile would hold the lock
    try:
        with _written(raw, path), _buffered(raw, mode) as file:
            yield file
            file.flush()
            with named_error(path):
                os.fsync(file.fileno())
                os.chmod(temporary, 0o666 & ~_umask())
                if locks.AVAILABLE:  # still locked, so nobody removes it
                    os.replace(temporary, path)
        if not locks.AVAILABLE:  # Windows renames no open file
            with named_error(path):
                os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


class _Raw(io.FileIO):
    """A file that stores the error of a failed write; libraries may raise another one."""

    failure: OSError | None = None

    def write(self, content: ReadableBuffer) -> int:
        """Write bytes."""
        try:
            return super().write(content)
        except OSError as error:
            self.failure = error
            raise


def _buffered(raw: _Raw, mode: str) -> IO[Any]:
    """Return the file object of a mode."""
    if mode == "w+b":
        return io.BufferedRandom(raw)
    buffer = io.BufferedWriter(raw)
    if mode == "wb":
        return buffer
    return io.TextIOWrapper(buffer, encoding="utf-8", errors="surrogateescape")


@contextlib.contextmanager
def _written(raw: _Raw, path: Path) -> Iterator[None]:
    """Raise the stored write error instead of the error that a library made of it."""
    try:
        yield
    except Exception as error:
        if raw.failure is None:
            raise
        raise OSError(raw.failure.errno, raw.failure.strerror, str(path)) from error


@contextlib.contextmanager
def named_error(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an `OSError` name the wanted path instead of the temporary one.

    Args:
        path: The wanted file or folder.
        temporary: The folder that becomes it; errors of other files are unchanged. None: every
            error is changed.

    Raises:
        OSError: The block raised one.
    """
    try:
        yield
    except OSError as error:
        name = error.filename if error.filename2 is None else error.filename2
        inside = temporary is None or name is None or Path(str(name)).is_relative_to(temporary)
        if error.errno is None or not inside:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def replace_by_link(source: str | Path, path: str | Path) -> None:
    """Make `path` a hard link to `source`, atomically; a copy if links are not supported."""
    source, path = Path(source), Path(path)
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
        try:
            os.link(source, temporary)
        except FileExistsError:
            continue
        except OSError:
            with atomic_open(path, "wb") as file, source.open("rb") as content:
                shutil.copyfileobj(content, file)
            return
        break
    os.replace(temporary, path)
    temporary.unlink(missing_ok=True)  # a rename of two links to one file does nothing
    sync_folder(path.parent)


def _umask() -> int:
    """Return the process's file mode mask (mkstemp ignores it and makes private files)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut.

    Errors are ignored (unreadable folders, some network drives): the file is in place anyway.
    """
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with atomic_open(path) as file:
        file.write(text)


def to_json(value: object, indent: int | None = None, allow_nan: bool = False) -> str:
    r"""Return `value` as JSON that is valid UTF-8.

    Undecodable bytes of file names become escapes, which ``json.loads`` reverses.

    >>> to_json({"image": b"caf\xe9".decode("utf-8", "surrogateescape"), "name": "grün"})
    '{"image": "caf\\udce9", "name": "grün"}'

    Raises:
        ValueError: `value` contains NaN or infinity, and `allow_nan` is false. Many programs cannot
            read them.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=allow_nan)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON atomically; NaN and infinity are refused.

    Raises:
        ValueError: `value` contains NaN or infinity.
    """
    write_text(path, to_json(value, indent=2) + "\n")


def write_jsonl(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object per line, atomically."""
    lines = (to_json(row) + "\n" for row in rows)
    write_text(path, "".join(lines))


def write_npz(path: str | Path, **arrays: np.ndarray) -> None:
    """Write named arrays as a compressed ``.npz`` atomically."""
    import numpy as np  # noqa: PLC0415  which takes longer than writing a table

    with atomic_open(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stub: allow_pickle


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, which identifies a model; its path does not."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
