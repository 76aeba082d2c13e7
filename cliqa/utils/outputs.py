"""Whether a file or a folder can be written, asked before the work that it is for."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from cliqa.utils.console import CLOSED, ClosedOutput
from cliqa.utils.errors import ConfigError
from cliqa.utils.machine import machine_trouble

PROBE = 4096
"""Bytes that must find room."""


LONGEST = 255
"""Letters of a name, where the system does not tell."""

OF_A_RUN = ("config.py", "run.json", "results.json", "metrics.jsonl", "matrix.csv")
"""Records in a work_dir, which an evaluation must not overwrite."""


def check_output_file(
    path: str | Path | None,
    option: str = "--out",
    suffixes: Sequence[str] = (),
    inputs: Iterable[str | Path] = (),
) -> None:
    """Refuse a file that cannot be written.

    Args:
        path: The file; None where none is asked for.
        option: What it was given as, for the message.
        suffixes: What its name may end in; none for anything.
        inputs: Files that are read, and work_dirs, whose records must not be overwritten.

    Raises:
        ConfigError: The name has another suffix or is too long, the file is a folder, protected, or
            an input, or its folder cannot be written to.
    """
    if path is None:
        return
    path, said = Path(path), _named(path, option)
    if suffixes and path.suffix not in suffixes:
        raise ConfigError(f"{said}: the name must end in {listed(suffixes)}.")
    _ask(path, said)
    if path.is_dir():
        raise ConfigError(f"{said}: it is a folder. Give the name of a file in it.")
    if path.exists():
        if not path.is_file():
            raise ConfigError(f"{said}: it is no regular file. Choose another name.")
        if any(_same(path, other) for other in inputs):
            raise ConfigError(f"{said}: it is read as well. Choose another name.")
        if not os.access(path, os.W_OK):
            raise ConfigError(f"{said}: the file is protected against writing. Choose another.")
    _check_place(path, path.parent, said)


def check_output_files(
    paths: Iterable[str | Path],
    option: str,
    suffixes: Sequence[str] = (),
    inputs: Iterable[str | Path] = (),
) -> None:
    """Refuse files that cannot be written, as `check_output_file`, or that are one and the same.

    Raises:
        ConfigError: A file cannot be written, or is given twice.
    """
    paths, inputs = list(paths), list(inputs)
    for path in paths:
        check_output_file(path, option, suffixes, inputs)
    resolved = [os.path.realpath(path) for path in paths]
    for path, real in zip(paths, resolved, strict=True):
        if resolved.count(real) > 1:
            raise ConfigError(f"{option} {path}: given twice. Give every file once.")


def check_output_folder(path: str | Path | None, option: str = "--out") -> None:
    """Refuse a folder that cannot be made or written to; it may be there.

    Args:
        path: The folder; None where none is asked for.
        option: What it was given as, for the message.

    Raises:
        ConfigError: It is a file, lies below one, or cannot be written to.
    """
    if path is None:
        return
    path, said = Path(path), _named(path, option)
    _ask(path, said)
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{said}: it is a file. Give a folder.")
    _check_place(path, path, said)


def check_new_folder(path: str | Path, option: str = "") -> None:
    """Refuse a folder that cannot be made, or that holds something.

    Args:
        path: The folder; it may be there and empty.
        option: What it was given as, for the message.

    Raises:
        ConfigError: It is in use, lies below a file, or cannot be written to.
    """
    check_output_folder(path, option)
    if Path(path).is_dir() and any(Path(path).iterdir()):
        raise ConfigError(f"{_named(path, option)} is there already. Choose a new folder.")


def check_output_is_open(instead: str) -> None:
    """Refuse to compute what can be printed nowhere.

    Args:
        instead: What to do about it.

    Raises:
        ConfigError: The shell has closed standard output.
    """
    if isinstance(sys.stdout, ClosedOutput):
        raise ConfigError(f"{CLOSED.partition(',')[0]}. {instead}")


def listed(names: Sequence[str]) -> str:
    """Return names in one phrase.

    >>> listed([".csv", ".json", ".md"]), listed([".csv"])
    ('.csv, .json or .md', '.csv')
    """
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _named(path: str | Path, option: str) -> str:
    """Return a path as a message names it: behind its option, if it has one."""
    return f"{option} {path}".strip()


def _ask(path: Path, said: str) -> None:
    """Refuse a path that the system cannot even look at: too long, in a circle, below a file."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except NotADirectoryError as error:
        file = next(one for one in path.parents if one.exists())
        raise ConfigError(
            f"{said}: {file} is a file, so nothing can lie below it. Choose another place."
        ) from error
    except OSError as error:
        raise _refused(error, said) from error


def _check_place(path: Path, folder: Path, said: str) -> None:
    """Refuse a path whose folder, or the nearest that exists, takes nothing of its name."""
    folder = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), Path())
    if not folder.exists():
        raise ConfigError(f"{said}: {folder} is a link to nothing. Choose another place.")
    if not folder.is_dir():
        raise ConfigError(
            f"{said}: {folder} is a file, so nothing can lie below it. Choose another place."
        )
    longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else LONGEST
    if any(len(os.fsencode(part)) > longest for part in path.parts):
        raise _refused(OSError(errno.ENAMETOOLONG, "File name too long"), said)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE))
    except OSError as error:
        raise _refused(error, said) from error


def _refused(error: OSError, said: str) -> ConfigError:
    """Return what the system says, under the name that the user has given."""
    bare = OSError(error.errno, error.strerror, said)
    trouble = machine_trouble(bare) or f"{said}: {error.strerror}."
    return ConfigError(f"{trouble.rstrip('.')}. Choose another place.")


def _same(path: Path, other: str | Path) -> bool:
    """Return whether two names are those of one file, or one is a record of the other, a run."""
    try:
        if Path(other).is_dir():
            return path.name in OF_A_RUN and path.parent.samefile(other)
        return path.samefile(other)
    except OSError:
        return False
