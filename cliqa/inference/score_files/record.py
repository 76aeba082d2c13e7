"""The record beside an unfinished table of scores: on what its rows depend.

It lies beside the table as ``NAME.resume.json`` until the table is whole. Rows of another model,
protocol or scale are not added to a table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_json

Record = Mapping[str, Any]
"""What the rows depend on, in JSON's own types: ``model``, ``protocol``, ``scale`` ..."""


def record_of(table: Path) -> Path:
    """Return the file of a table's record.

    >>> record_of(Path("out/scores.csv")).name
    'scores.csv.resume.json'
    """
    return table.with_name(f"{table.name}.resume.json")


def check_nothing_left(table: str | Path | None) -> None:
    """Refuse to write over the rows that a kill has left.

    Args:
        table: The table that shall be written; None for standard output.

    Raises:
        ConfigError: There are some.
    """
    if table is None:
        return
    part = Path(f"{table}.part")
    if part.is_file() and record_of(Path(table)).is_file():
        raise ConfigError(
            f"--out {table}: {part.name} beside it holds the rows of a run that was killed. Add "
            "--resume to continue it, or delete that file to begin anew."
        )


def write_record(table: Path, record: Record) -> None:
    """Write a table's record atomically."""
    write_json(record_of(table), dict(record))


def check_record(table: Path, record: Record) -> None:
    """Refuse to add rows to a table that was begun in another way.

    Args:
        table: The table; it has a record.
        record: What the new rows depend on.

    Raises:
        ConfigError: The table's record differs, or cannot be read.
    """
    path = record_of(table)
    again = f"To begin anew, delete {path.name} and {table.name}.part."
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [key for key in record if found.get(key) != record[key]]
    except (OSError, ValueError, AttributeError) as error:
        raise ConfigError(f"--resume: {path} cannot be read ({error}). {again}") from error
    if differing:
        changes = ", ".join(
            f"{key} (then {_short(found.get(key))}, now {_short(record[key])})" for key in differing
        )
        raise ConfigError(
            f"--resume: {table} was begun with another {changes}. Give the same as then. {again}"
        )


def _short(value: object) -> str:
    """Return a value for a message; of a checksum the first characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:16]}..."
