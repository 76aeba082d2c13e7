"""Atomic files: a reader sees the old content or the new one, never a part of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from cliqa.utils import locks
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

LONGEST_NAME = 240
"""Bytes of a file's name to which a temporary name's 14 can be added on any file system."""


@contextlib.contextmanager
def atomic_open(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` that replaces it once the block has ended well.

    Args:
        path: The file to write. Its folder is created if need be.
        mode: ``"w"`` for text (UTF-8; a file name that is no UTF-8 keeps its bytes), ``"wb"`` for
            bytes, or ``"w+b"`` to read them again too.

    Yields:
        The open temporary file. If the block raises, it is removed and `path` stays as it was.

    Raises:
        ValueError: `mode` is none of these.
        OSError: The file cannot be written, say on a full disk. It names `path`, whatever the
            library that wrote has made of the failure.
    """
    if mode not in ("w", "wb", "w+b"):
        raise ValueError(f"mode must be 'w', 'wb' or 'w+b', got {mode!r}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = _locked_temporary(path)
    raw = _Raw(descriptor, "w+")
    try:
        with _written(raw, path), _buffered(raw, mode) as file:
            yield file
            file.flush()
            with named_error(path):
                os.fsync(file.fileno())
                os.chmod(temporary, 0o666 & ~_umask())
                if locks.AVAILABLE:  # still locked: nobody takes it for a leftover
                    os.replace(temporary, path)
        if not locks.AVAILABLE:  # Windows renames no open file
            with named_error(path):
                os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def _locked_temporary(path: Path) -> tuple[int, str]:
    """Return a new temporary file beside `path`, locked as long as it is open, and its name."""
    fits = len(os.fsencode(path.name)) <= LONGEST_NAME
    prefix = f".{path.name if fits else path.name[:40]}."
    while True:
        with named_error(path):
            descriptor, name = tempfile.mkstemp(".tmp", prefix=prefix, dir=path.parent)
        locks.lock(descriptor, wait=True)
        if os.path.exists(name):
            return descriptor, name
        os.close(descriptor)  # it was taken for a leftover in the moment before it was locked


class _Raw(io.FileIO):
    """A file that remembers why it could not be written; libraries raise errors of their own."""

    failure: OSError | None = None

    def write(self, content: Any) -> int:  # noqa: ANN401
        """Write as any file."""
        try:
            return super().write(content)
        except OSError as error:
            self.failure = error
            raise


def _buffered(raw: _Raw, mode: str) -> IO[Any]:
    """Return what a block writes to."""
    if mode == "w+b":
        return io.BufferedRandom(raw)
    buffer = io.BufferedWriter(raw)
    if mode == "wb":
        return buffer
    return io.TextIOWrapper(buffer, encoding="utf-8", errors="surrogateescape")


@contextlib.contextmanager
def _written(raw: _Raw, path: Path) -> Iterator[None]:
    """Raise what kept a file from being written, in the place of what a library made of it."""
    try:
        yield
    except Exception as error:
        if raw.failure is None:
            raise
        raise OSError(raw.failure.errno, raw.failure.strerror, str(path)) from error


@contextlib.contextmanager
def named_error(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an error name what is wanted, not what is written for the time being.

    Args:
        path: The file or folder that is wanted.
        temporary: The folder that becomes it; errors of files elsewhere keep their names. None:
            every error is one of `path`.

    Raises:
        OSError: The block has raised one.
    """
    try:
        yield
    except OSError as error:
        name = error.filename if error.filename2 is None else error.filename2
        inside = temporary is None or name is None or Path(str(name)).is_relative_to(temporary)
        if error.errno is None or not inside:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


@contextlib.contextmanager
def folder_lock(folder: str | Path, name: str = ".lock") -> Iterator[bool]:
    """Hold a folder for one process; the lock goes with the process, however that ends.

    Args:
        folder: An existing folder.
        name: The file in it that is locked; another name is another lock.

    Yields:
        False if another process holds it. Always true where there are no such locks.
    """
    if not locks.AVAILABLE:
        yield True
        return
    path = Path(folder) / name
    while True:
        with path.open("a") as file:
            held = locks.lock(file)
            if held and not _is(file, path):  # removed, or replaced, before it was locked
                continue
            locks.keep_from_children(file)
            if held is None:
                logger.warning(
                    "%s: this file system has no locks; start one process at a time in it", folder
                )
            yield held is not False
            return


def _is(file: IO[Any], path: Path) -> bool:
    """Return whether an open file is what lies at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def replace_by_link(source: str | Path, path: str | Path) -> None:
    """Make `path` the same file as `source`, atomically; a copy where links are not to be had."""
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
    temporary.unlink(missing_ok=True)  # where both are one file already, a rename does nothing
    sync_folder(path.parent)


def _umask() -> int:
    """Return the process's file mode mask (mkstemp ignores it and makes private files)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename survives a power cut.

    Where that is not to be had (a folder that may not be read, some network drives), the file is
    in its place all the same.
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


def to_json(value: Any, indent: int | None = None, allow_nan: bool = False) -> str:  # noqa: ANN401
    r"""Return `value` as JSON that is valid UTF-8.

    Bytes of a file name that are no UTF-8 become escapes, of which ``json.loads`` makes the name
    again.

    >>> to_json({"image": b"caf\xe9".decode("utf-8", "surrogateescape"), "name": "grün"})
    '{"image": "caf\\udce9", "name": "grün"}'

    Raises:
        ValueError: `value` holds NaN or an infinity, which JSON cannot hold, and `allow_nan` does
            not let it be written as other programs cannot read it.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=allow_nan)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def write_json(path: str | Path, value: Any) -> None:  # noqa: ANN401
    """Write `value` as indented JSON atomically; NaN and infinity are refused.

    Raises:
        ValueError: `value` holds a number that JSON cannot hold.
    """
    write_text(path, to_json(value, indent=2) + "\n")


def write_jsonl(path: str | Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line atomically."""
    lines = (to_json(row) + "\n" for row in rows)
    write_text(path, "".join(lines))


def write_npz(path: str | Path, **arrays: np.ndarray) -> None:
    """Write named arrays as a compressed ``.npz`` atomically."""
    with atomic_open(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy's stub: allow_pickle
