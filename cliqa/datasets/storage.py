"""A generated folder: there wholly or not at all, and never mixed with anything else."""

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

MANIFEST = "demo_data.json"


def count_files(root: Path) -> int:
    """Return how many files a folder tree holds, the manifest and hidden ones left out."""
    names = [name for _, _, files in os.walk(root) for name in files if not name.startswith(".")]
    return len(names) - (root / MANIFEST).is_file()


def is_written(root: Path, arguments: Mapping[str, Any]) -> bool:
    """Tell whether a folder already holds what these arguments would write.

    Files beside the generated ones do no harm: features, lists, what a file manager leaves behind.

    Args:
        root: The folder.
        arguments: What the data follow from.

    Returns:
        True if it is complete; False if there is no such folder, or an empty one.

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
def new_folder(root: Path, arguments: Mapping[str, Any]) -> Iterator[Path]:
    """Open a temporary folder that becomes `root`, with a manifest, once the block has ended well.

    Args:
        root: The folder to make; it may be there and empty.
        arguments: What the manifest records.

    Yields:
        The temporary folder, beside `root`. If the block raises, it is removed; what a killed
        process left of one is removed by the next.

    Raises:
        DatasetError: The place cannot be written to.
    """
    with folder_at_once(root) as temporary:
        with named_error(root, temporary):
            yield temporary
            record = {"arguments": dict(arguments), "files": count_files(temporary)}
            write_json(temporary / MANIFEST, record)
        try:
            give_name(temporary, root)
        except OSError as error:
            if not is_written(root, arguments):  # by another process, meanwhile
                raise _unwritable(root, error) from error


@contextlib.contextmanager
def folder_at_once(root: Path) -> Iterator[Path]:
    """Open a temporary folder for the block to fill, and to give the name `root`.

    Args:
        root: The folder to make; it may be there and empty. Of a link, the place that it leads to
            is meant.

    Raises:
        DatasetError: The place cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        try:
            place = root.resolve()
            if root.is_symlink() and not place.parent.is_dir():
                raise OSError(errno.ENOENT, "a link to what is not there", str(place))
            if os.path.ismount(place):
                raise OSError(errno.EBUSY, "a disk begins there", str(place))
            temporary = stack.enter_context(temporary_folder(place))
        except (OSError, RuntimeError) as error:  # a RuntimeError of links that lead in a circle
            raise _unwritable(root, error) from error
        yield temporary


def give_name(temporary: Path, root: Path) -> None:
    """Give a finished folder its name; an empty one may have it.

    Raises:
        OSError: There is something of that name.
    """
    place = root.resolve()
    if place.is_dir():
        place.rmdir()  # some systems do not rename onto it
    temporary.rename(place)


def _unwritable(root: Path, error: OSError | RuntimeError) -> DatasetError:
    """Return what tells a user that a folder cannot be written."""
    reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
    return DatasetError(f"{root}: cannot be written ({reason}). Choose another folder.")
