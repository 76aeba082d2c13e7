"""Whether the first row of a text file names its columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from cliqa.utils.errors import ConfigError, DatasetError

DELIMITERS = "=,;\t|"
"""What may stand between two columns; tried in this order."""


def is_number(cell: str) -> bool:
    """Return whether a cell is a number as label files write it.

    Python's own ``1_000`` is none: who wrote it meant something else.
    """
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def check_names(columns: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return the names of columns that a user gives for a file without a header row.

    Raises:
        ConfigError: They are no list of names, name one twice, or lack one that is required.
    """
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns):
        raise ConfigError(
            f"columns must be a list of names such as ['image', 'score'], got {columns!r}."
        )
    names = [name.strip() for name in columns]
    for name in names:
        if name and names.count(name) > 1:
            raise ConfigError(f"columns names '{name}' twice: {names}.")
    for name in required:
        if name not in names:
            raise ConfigError(
                f"columns={names} does not name '{name}'. Call the file's columns, in their order, "
                "as the data set's other options do."
            )
    return names


def check_width(
    path: Path, first: Sequence[str], row: int, names: Sequence[str], delimiter: str
) -> None:
    """Check that the first row of a file without a header is as long as `names`, and is no header.

    Raises:
        DatasetError: It is not.
    """
    if set(filter(None, names)) <= {cell.strip() for cell in first}:
        raise DatasetError(
            f"{path}, row {row}: this row names the columns already. Leave columns=... out."
        )
    if len(first) == len(names):
        return
    line = delimiter.join(first)
    for other in (*DELIMITERS, " "):
        if other != delimiter and len(line.split(other)) == len(names) > 1:
            raise DatasetError(
                f"{path}, row {row}: the columns are separated by {other!r}, not by "
                f"{delimiter!r}. Set delimiter={other!r} in the data set's config."
            )
    raise DatasetError(
        f"{path}, row {row}: {len(first)} columns, and columns={list(names)} names {len(names)}. "
        "Name each of them, '' for one that is not needed."
    )


def check_has_header(
    path: Path, first: Sequence[str], required: Sequence[str], delimiter: str, option: str
) -> None:
    """Check that a first row without the required names is no row of data.

    Args:
        path: The file.
        first: The row's cells.
        required: Columns that must be there.
        delimiter: The character between two columns.
        option: The config option that names the columns of a file without a header row; empty
            where there is none.

    Raises:
        DatasetError: It holds a number beside something else.
    """
    line = delimiter.join(first)
    for other in (delimiter, *DELIMITERS.replace(delimiter, ""), " "):
        cells = [cell.strip() for cell in line.split(other)]
        if len(cells) < 2 or not _are_data(cells):
            continue
        shown = ", ".join(f"'{cell}'" for cell in cells[:4])
        advice = f"Write {other.join(required)!r} above it"
        if option:
            also = f" and delimiter={other!r}" if other != delimiter else ""
            names = _guess_names(cells, required)
            advice = f"Set {option}={names}{also} in the data set's config ('' skips a column)"
        raise DatasetError(
            f"{path}, row 1: {shown} are data and no names of columns: the file has no header "
            f"row. {advice}."
        )


def _are_data(cells: Sequence[str]) -> bool:
    """Return whether cells are an image and a number rather than names, of which some are digits.

    >>> _are_data(["a.jpg", "3"]), _are_data(["image_name", "1", "2", "mos"])
    (True, False)
    """
    numbers = [cell for cell in cells if is_number(cell)]
    telling = any("." in cell for cell in numbers) or any(
        "/" in cell or re.search(r"\.[A-Za-z]\w{1,4}$", cell) for cell in cells
    )
    return bool(numbers) and (telling or len(numbers) == len(cells))


def _guess_names(cells: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return names for a row's cells: an image's for the first that is no number, then a score's.

    Args:
        cells: The row.
        required: The name of the images' column and of the scores'.
    """
    numeric = [is_number(cell) for cell in cells]
    image = numeric.index(False) if False in numeric else 0
    score = next((i for i, yes in enumerate(numeric) if yes and i != image), None)
    names = {image: required[0], score: required[1]}
    return [names.get(place, "") for place in range(len(cells))]
