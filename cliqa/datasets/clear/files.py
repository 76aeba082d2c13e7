"""Text and JSON files of a CLEAR data set; errors name the file and how to write it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from cliqa.datasets.labels.label_file import parse_json
from cliqa.utils.errors import DatasetError

COPY_AGAIN = "Copy or download the data set again."
"""The advice for files that no tool writes."""


def written_by(command: str, root: Path, options: str = "") -> str:
    """Return the advice to write a file with a command of ``cliqa data clear``.

    >>> written_by("prepare", Path("data/my clear"))
    "Write it with: cliqa data clear prepare 'data/my clear'"
    """
    words = f"cliqa data clear {command} {shlex.quote(str(root))} {options}"
    return f"Write it with: {words.rstrip()}"


def read_text(path: Path, advice: str = COPY_AGAIN) -> str:
    """Return a UTF-8 file's text; `advice` is what to do if it is missing.

    Raises:
        DatasetError: The file is missing, cannot be read, or is not text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(f"{path}: missing. {advice}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text ({error.reason}). {COPY_AGAIN}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path}: cannot be read ({reason}).") from error


def read_json(path: Path, advice: str = COPY_AGAIN) -> object:
    """Return a JSON file's value; see `read_text`.

    Raises:
        DatasetError: The file is missing, is not JSON, or an object repeats a name.
    """
    return parse_json(read_text(path, advice), path, COPY_AGAIN)


def read_object(path: Path, advice: str = COPY_AGAIN) -> dict[str, Any]:
    """Return a JSON file's object.

    Raises:
        DatasetError: As `read_json`, or the value is not an object.
    """
    value = read_json(path, advice)
    if not isinstance(value, dict):
        raise DatasetError(
            f"{path}: expected a JSON object, got a {type(value).__name__}. {COPY_AGAIN}"
        )
    return value
