"""A generated folder: written completely or not at all, and never mixed with other files."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cliqa.utils.errors import DatasetError
from cliqa.utils.io import named_error, write_json
from cliqa.utils.locks import temporary_folder
from cliqa.utils.progress import Phase

MANIFEST = "demo_data.json"


def count_files(root: Path) -> int:
    """Return the number of files in a folder tree, without the manifest and hidden files."""
    names = [name for _, _, files in os.walk(root) for name in files if not name.startswith(".")]
    return len(names) - (root / MANIFEST).is_file()


def is_written(root: Path, arguments: Mapping[str, Any]) -> bool:
    """Return whether a folder already holds what a generator's arguments would write.

    False means that there is no such folder, or an empty one. Additional files (features, lists, a
    file manager's) are ignored.

    Raises:
        DatasetError: The folder holds something else, or a part of it only.
    """
    advice = "Choose another folder, or delete this one to have it written anew."
    if not root.exists():
        return False
    if not root.is_dir():
        raise DatasetError(f"{root} is a file. Choose a folder for the generated data.")
    if not any(root.iterdir()):
        return False
    if not (root / MANIFEST).is_file():
        raise DatasetError(
            f"{root} is not empty and was not written by this generator. Choose another folder."
        )
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding="utf-8"))
        written, files = dict(manifest["arguments"]), int(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{root / MANIFEST} is damaged ({error}). {advice}") from error
    other = [key for key in {**arguments, **written} if written.get(key) != arguments.get(key)]
    if other:
        differences = ", ".join(
            f"{key}={written.get(key)!r}, now {arguments.get(key)!r}" for key in sorted(other)
        )
        raise DatasetError(f"{root} was generated with other arguments: {differences}. {advice}")
    found = count_files(root)
    if found < files:
        raise DatasetError(f"{root} holds {found} files of the {files} generated. {advice}")
    return True


@contextlib.contextmanager
def new_folder(root: Path, arguments: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Open a temporary folder that becomes `root` once the block has ended well.

    Args:
        root: The folder to make; it may exist and be empty. A link stands for its target.
        arguments: What a manifest in the folder records, for `is_written`; None for no manifest.

    Yields:
        The temporary folder, beside `root`. If the block raises, it is removed; what a killed
        process left of one is removed by the next.

    Raises:
        DatasetError: The folder is not empty, or the place cannot be written to.
    """
    if arguments is None:
        _check_free(root)
    with contextlib.ExitStack() as stack:
        try:
            place = root.resolve()
            if root.is_symlink() and not place.parent.is_dir():
                raise OSError(errno.ENOENT, "a link to a folder that does not exist", str(place))
            if os.path.ismount(place):
                raise OSError(errno.EBUSY, "a disk is mounted there", str(place))
            temporary = stack.enter_context(temporary_folder(place))
        except (OSError, RuntimeError) as error:  # a RuntimeError: links in a circle
            raise _unwritable(root, error) from error
        with named_error(root, temporary):
            yield temporary
            if arguments is not None:
                record = {"arguments": dict(arguments), "files": count_files(temporary)}
                write_json(temporary / MANIFEST, record)
        try:
            if place.is_dir():
                place.rmdir()  # some systems cannot rename onto an empty folder
            temporary.rename(place)
        except OSError as error:  # another process may have written the folder meanwhile
            if arguments is None:
                _check_free(root)
            if arguments is None or not is_written(root, arguments):
                raise _unwritable(root, error) from error


def _check_free(root: Path) -> None:
    """Refuse a folder that is not empty."""
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise DatasetError(f"{root} exists already. Choose a new folder, or delete this one.")


def _unwritable(root: Path, error: OSError | RuntimeError) -> DatasetError:
    """Return the error that a folder cannot be written."""
    reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    return DatasetError(f"{root}: cannot be written ({reason}). Choose another folder.")


def progress(total: int, title: str) -> Phase:
    """Return the phase in which so many images are written."""
    return Phase(f"writing {title}", total, "image")
