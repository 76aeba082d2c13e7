"""Text and JSON files of a CLEAR tree: what is missing or damaged is named, with its remedy."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from cliqa.utils.errors import DatasetError

COPY_AGAIN = "Copy or download the data set again."
"""The advice where no tool can write a file."""

SHOWN = 5
"""How many of many things a message lists."""


def written_by(command: str, root: Path, options: str = "") -> str:
    """Return the advice to write a file with one of the tool's commands.

    >>> written_by("prepare", Path("data/my clear"))
    "Write it with: python tools/clear_dataset.py prepare 'data/my clear'"
    """
    words = f"python tools/clear_dataset.py {command} {shlex.quote(str(root))} {options}"
    return f"Write it with: {words.rstrip()}"


def read_text(path: Path, advice: str = COPY_AGAIN) -> str:
    """Return a UTF-8 file's text.

    Args:
        path: The file.
        advice: What to do where there is none.

    Raises:
        DatasetError: The file is missing, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetError(f"{path}: missing. {advice}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: no UTF-8 text ({error.reason}). {COPY_AGAIN}") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path}: cannot be read ({reason}).") from error


def read_json(path: Path, advice: str = COPY_AGAIN) -> Any:  # noqa: ANN401
    """Return a JSON file's value; a name may stand in an object only once.

    Args:
        path: The file.
        advice: What to do where there is none.

    Raises:
        DatasetError: The file is missing, is no JSON, or repeats a name.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise DatasetError(f"{path}: '{twice}' is there twice. Remove one of the two.")
        return value

    text = read_text(path, advice)
    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}, column {error.colno}: no valid JSON ({error.msg}). "
            f"{COPY_AGAIN}"
        ) from error
    except (RecursionError, ValueError) as error:  # too deep; a number of thousands of digits
        raise DatasetError(f"{path}: no readable JSON ({error}). {COPY_AGAIN}") from error


def read_object(path: Path, advice: str = COPY_AGAIN) -> dict[str, Any]:
    """Return a JSON file's object.

    Raises:
        DatasetError: As `read_json`, or the value is no object.
    """
    value = read_json(path, advice)
    if not isinstance(value, dict):
        raise DatasetError(
            f"{path}: expected a JSON object, got a {type(value).__name__}. {COPY_AGAIN}"
        )
    return value


def some(names: list[str]) -> str:
    """Return the first few of many names, and how many more there are.

    >>> some(["a", "b"]), some(list("abcdefg"))
    ('a, b', 'a, b, c, d, e and 2 more')
    """
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
