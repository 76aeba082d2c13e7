"""A generated folder: there wholly or not at all, and never mixed with anything else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cliqa.utils.errors import DatasetError
from cliqa.utils.io import named_error, write_json

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
        The temporary folder, beside `root`. If the block raises, it is removed.

    Raises:
        DatasetError: The place cannot be written to.
    """
    temporary = root.parent / f".{root.name}.{os.getpid()}.tmp"
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
    except OSError as error:
        raise DatasetError(
            f"{root}: cannot be written ({error.strerror}: {error.filename}). "
            "Choose another folder."
        ) from error
    try:
        with named_error(root, temporary):
            yield temporary
            record = {"arguments": dict(arguments), "files": count_files(temporary)}
            write_json(temporary / MANIFEST, record)
        _move(temporary, root, arguments)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move(temporary: Path, root: Path, arguments: Mapping[str, Any]) -> None:
    """Give a finished folder its name, unless another process has just done the same."""
    try:
        if root.is_dir():
            root.rmdir()  # an empty one; some systems do not rename onto it
        temporary.rename(root)
    except OSError:
        if not is_written(root, arguments):
            raise
