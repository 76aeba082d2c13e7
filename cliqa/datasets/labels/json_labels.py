"""JSON label lists as sheets of text cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cliqa.datasets.labels.label_file import parse_json, read_text
from cliqa.datasets.labels.sheet import Sheet, build_sheet
from cliqa.registry import closest
from cliqa.utils.errors import DatasetError


def read_json(path: Path, required: tuple[str, ...], key: str = "files") -> Sheet:
    """Read a list of objects: ``[{"image": ..., "score": ...}, ...]`` or ``{key: [...]}``.

    A row's number is the entry's place in the list, from 1. Numbers may be written as strings.

    Raises:
        DatasetError: The file is not such JSON, or a `required` name is missing.
    """
    entries = _entries(path, key)
    header = list(dict.fromkeys(str(name) for entry in entries for name in entry))
    cells = [[_as_text(entry.get(name)) for name in header] for entry in entries]
    return build_sheet(path, header, cells, range(1, len(entries) + 1), required)


def _entries(path: Path, key: str) -> list[dict[str, Any]]:
    """Return the file's list of objects."""
    content = parse_json(read_text(path), path)
    if isinstance(content, dict):
        if key not in content:
            raise DatasetError(
                f"{path}: no '{key}' at the top.{closest(key, map(str, content))} "
                f'Expected {{"{key}": [{{"image": ..., "score": ...}}, ...]}}.'
            )
        content = content[key]
    if not isinstance(content, list):
        raise DatasetError(
            f"{path}: expected a list of entries, got {type(content).__name__}. "
            'Write [{"image": "a.jpg", "score": 7.5}, ...].'
        )
    if not content:
        raise DatasetError(f"{path}: the list of entries is empty. Add the labels.")
    for row, entry in enumerate(content, start=1):
        if not isinstance(entry, dict):
            raise DatasetError(
                f"{path}, row {row}: expected an object with names, got {type(entry).__name__}. "
                'Write {"image": "a.jpg", "score": 7.5}.'
            )
    return content


def _as_text(value: object) -> str:
    """Return a value as text that reads back as the same number."""
    return "" if value is None else str(value).strip()
