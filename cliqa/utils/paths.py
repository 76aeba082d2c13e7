"""Paths that a user gives: home folders, and whether output can be written there."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import cliqa
from cliqa.utils.console import CLOSED, ClosedOutput
from cliqa.utils.errors import ConfigError, either, machine_trouble

PROBE = 4096
"""Bytes that must fit on the disk."""

LONGEST = 255
"""The longest name of a file, if the system does not report it."""

RUN_FILES = ("config.py", "run.json", "results.json", "metrics.jsonl", "matrix.csv")
"""Files of a work_dir that an evaluation must not overwrite."""

SHIPPED = "cliqa::"
"""How the names of configs begin that come with the package."""


def free_space(folder: Path) -> int:
    """Return the free bytes where a folder is, or will be."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def shipped_configs() -> Path:
    """Return the folder of the configs that come with the package.

    An installed package holds them where OpenMMLab's packages do, a checkout beside the package.
    """
    package = Path(cliqa.__file__).resolve().parent
    installed = package / ".mim" / "configs"
    return installed if installed.is_dir() else package.parent / "config"


def config_path(path: str) -> str:
    """Return the path of a config that a user names; ``cliqa::demo.py`` comes with the package.

    >>> config_path("config/demo.py")
    'config/demo.py'
    """
    return str(shipped_configs() / path.removeprefix(SHIPPED)) if path.startswith(SHIPPED) else path


def home_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` or ``~user`` at the start replaced by that user's home folder.

    An unknown user's ``~name`` is not replaced.
    """
    return Path(os.path.expanduser(path))


def name_after(path: str | os.PathLike[str]) -> str:
    """Return a name made from a file's, safe as a part of other files' names.

    >>> name_after("metas/koniq.csv"), name_after("scores (1).csv"), name_after("#2.csv")
    ('koniq', 'scores__1_', 'labels_2')
    """
    stem = re.sub(r"[^\w.+-]", "_", Path(path).stem)
    return stem if re.match(r"[A-Za-z0-9]", stem) else f"labels_{stem.lstrip('_.+-')}"


def check_output_file(
    path: str | Path | None,
    option: str = "--out",
    suffixes: Sequence[str] = (),
    inputs: Iterable[str | Path] = (),
) -> None:
    """Refuse a file that cannot be written.

    Args:
        path: The file; None for no file.
        option: The command-line option, for the message.
        suffixes: Accepted endings of its name; empty for any.
        inputs: Files that are read, and work_dirs whose records must not be overwritten.

    Raises:
        ConfigError: The name has another suffix or is too long, the file is a folder, protected, or
            an input, or its folder cannot be written to.
    """
    if path is None:
        return
    path, label = Path(path), _named(path, option)
    if suffixes and path.suffix not in suffixes:
        raise ConfigError(f"{label}: the name must end in {either(suffixes)}.")
    _check_resolves(path, label)
    if path.is_dir():
        raise ConfigError(f"{label}: it is a folder. Give the name of a file in it.")
    if path.exists():
        if not path.is_file():
            raise ConfigError(f"{label}: it is not a regular file. Choose another name.")
        if any(_same(path, other) for other in inputs):
            raise ConfigError(f"{label}: it is also an input. Choose another name.")
        if not os.access(path, os.W_OK):
            raise ConfigError(f"{label}: the file is write-protected. Choose another.")
    _check_writable(path, path.parent, label)


def check_output_files(
    paths: Iterable[str | Path],
    option: str,
    suffixes: Sequence[str] = (),
    inputs: Iterable[str | Path] = (),
) -> None:
    """Refuse files that cannot be written, as `check_output_file`, or that are given twice.

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
    """Refuse a folder that cannot be created or written to; it may exist.

    Args:
        path: The folder; None for no folder.
        option: The command-line option, for the message.

    Raises:
        ConfigError: It or a parent of it is a file, or it cannot be written to.
    """
    if path is None:
        return
    path, label = Path(path), _named(path, option)
    _check_resolves(path, label)
    if path.exists() and not path.is_dir():
        raise ConfigError(f"{label}: it is a file. Give a folder.")
    _check_writable(path, path, label)


def check_new_folder(path: str | Path, option: str = "") -> None:
    """Refuse a folder that cannot be created, or that is not empty.

    Args:
        path: The folder; it may exist if it is empty.
        option: The command-line option, for the message.

    Raises:
        ConfigError: It is not empty, a parent of it is a file, or it cannot be written to.
    """
    check_output_folder(path, option)
    if Path(path).is_dir() and any(Path(path).iterdir()):
        raise ConfigError(
            f"{_named(path, option)} already exists and is not empty. Choose a new folder."
        )


def check_output_is_open(instead: str) -> None:
    """Refuse to compute what cannot be printed.

    Args:
        instead: Advice for the user.

    Raises:
        ConfigError: Standard output is closed.
    """
    if isinstance(sys.stdout, ClosedOutput):
        raise ConfigError(f"{CLOSED.partition(',')[0]}. {instead}")


def _named(path: str | Path, option: str) -> str:
    """Return a path for a message, after its option if it has one."""
    return f"{option} {path}".strip()


def _check_resolves(path: Path, label: str) -> None:
    """Refuse a path that the system cannot resolve: too long, or a loop of links."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass  # `_check_writable` checks the folders above
    except OSError as error:
        raise _refused(error, label) from error


def named_checkpoint(path: str | Path, name: str | None) -> str | Path:
    """Return the checkpoint of a work_dir by its name: ``best``, ``last``, ``exp_0`` ...

    Args:
        path: A work_dir; without a `name`, anything.
        name: The name, with or without ``.pth``; None for `path` itself.

    Raises:
        ConfigError: The path is no work_dir, or has no such checkpoint.
    """
    if name is None:
        return path
    folder = Path(path) / "checkpoints"
    if not folder.is_dir():
        raise ConfigError(
            f"--checkpoint {name}: {path} is no work_dir with checkpoints. Give the run's folder, "
            "or the file itself without --checkpoint."
        )
    known = sorted(file.stem for file in folder.glob("*.pth"))
    stem = name.removesuffix(".pth")
    if stem not in known:
        why = " It is written where there are validation splits." if stem == "best" else ""
        raise ConfigError(
            f"--checkpoint {name}: {folder} has no such file.{why} There are: {', '.join(known)}."
        )
    return folder / f"{stem}.pth"


def _check_writable(path: Path, folder: Path, label: str) -> None:
    """Refuse a path whose nearest existing folder cannot be written to."""
    folder = next((one for one in (folder, *folder.parents) if os.path.lexists(one)), Path())
    if not folder.exists():
        raise ConfigError(f"{label}: {folder} is a broken link. Choose another place.")
    if not folder.is_dir():
        raise ConfigError(f"{label}: {folder} is a file, not a folder. Choose another place.")
    longest = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else LONGEST
    if any(len(os.fsencode(part)) > longest for part in path.parts):
        raise _refused(OSError(errno.ENAMETOOLONG, "File name too long"), label)
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE))
    except OSError as error:
        raise _refused(error, label) from error


def _refused(error: OSError, label: str) -> ConfigError:
    """Return a system error for the path that the user gave."""
    bare = OSError(error.errno, error.strerror, label)
    trouble = machine_trouble(bare) or f"{label}: {error.strerror}."
    return ConfigError(f"{trouble.rstrip('.')}. Choose another place.")


def _same(path: Path, other: str | Path) -> bool:
    """Return whether two paths are one file, or `path` is a record of the work_dir `other`."""
    try:
        if Path(other).is_dir():
            return path.name in RUN_FILES and path.parent.samefile(other)
        return path.samefile(other)
    except OSError:
        return False


def evenly_spaced(files: Sequence[str], most: int = 32) -> Sequence[str]:
    """Return some of many files, which stand for all of them.

    >>> evenly_spaced("abcdefgh", 3)
    'ace'
    """
    return files[:: max(1, len(files) // most)][:most]
