"""Text files of labels: csv with or without a header row, and columns separated by blanks."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from cliqa.datasets.labels.label_file import read_lines, read_text
from cliqa.datasets.labels.sheet import Sheet, build_sheet, is_number
from cliqa.utils.errors import ConfigError, DatasetError

DELIMITERS = "=,;\t|"
"""Characters that may separate columns; tried in this order."""


def read_csv(
    path: Path,
    required: Sequence[str],
    delimiter: str = ",",
    option: str = "",
    columns: Sequence[str] | None = None,
    columns_option: str = "",
) -> Sheet:
    """Read a text file with one header row, or without one; blank rows are left out.

    Args:
        path: The file.
        required: Columns that must be there.
        delimiter: The one character between two columns.
        option: The config option by which a user may change the delimiter, for the message.
        columns: The columns' names of a file without a header row, in their order; ``""``
            for one that is not needed. None for a file whose first row names them.
        columns_option: The config option that gives `columns`, for the message.

    Raises:
        ConfigError: The delimiter is not one character, or `columns` are not names.
        DatasetError: The file cannot be read, a column is missing, or a row is not as long as the
            header.
    """
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise ConfigError(f"delimiter must be one character such as ',' or '=', got {delimiter!r}.")
    names = None if columns is None else _check_names(columns, required)
    cells, rows = _read_cells(path, delimiter)
    if not cells:
        raise DatasetError(f"{path}: no header row. Its first row must name the columns.")
    if names is not None:
        _check_width(path, cells[0], rows[0], names, delimiter)
        return build_sheet(path, names, cells, rows, required)
    header = [name.strip() for name in cells[0]]
    if not set(required) <= set(header):
        _check_delimiter(path, header, required, delimiter, option)
        _check_has_header(path, header, required, delimiter, columns_option)
    return build_sheet(path, header, cells[1:], rows[1:], required)


def _read_cells(path: Path, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the cells of a text file's rows that are not blank, and the rows' numbers."""
    reader = csv.reader(
        io.StringIO(read_text(path)), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    cells, rows, before = [], [], 0
    try:
        for line in reader:
            if any(line):
                cells.append(line)
                rows.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise DatasetError(
            f'{path}, row {before + 1}: {error}. Close every quote, and write "" for a quote '
            "within quotes."
        ) from error
    return cells, rows


def _check_delimiter(
    path: Path, header: list[str], required: Sequence[str], delimiter: str, option: str
) -> None:
    """Raise a DatasetError if another delimiter would find the required columns."""
    line = delimiter.join(header)
    for other in DELIMITERS.replace(delimiter, ""):
        names = [name.strip(' "') for name in line.split(other)]
        if set(required) <= set(names):
            fix = f", or set {option}={other!r} in the data set's config" if option else ""
            raise DatasetError(
                f"{path}, row 1: the columns are separated by {other!r}, not by {delimiter!r}. "
                f"Save the file with {delimiter!r} between the columns{fix}."
            )


def read_columns(path: Path, names: Sequence[str]) -> Sheet:
    """Read a text file without a header, whose columns are separated by blanks.

    Raises:
        DatasetError: The file cannot be read, or a row has not as many columns as `names`.
    """
    lines, rows = read_lines(path)
    cells = [line.split() for line in lines]
    for row, line in zip(rows, cells, strict=True):
        if len(line) != len(names):
            raise DatasetError(
                f"{path}, row {row}: {len(line)} columns, expected {len(names)} separated by "
                f"blanks: {' '.join(names)}."
            )
    return build_sheet(path, names, cells, rows)


def _check_names(columns: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return the names of columns that a user gives for a file without a header row, checked."""
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


def _check_width(
    path: Path, first: Sequence[str], row: int, names: Sequence[str], delimiter: str
) -> None:
    """Raise a DatasetError if a file's first row is a header, or not as long as `names`."""
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


def _check_has_header(
    path: Path, first: Sequence[str], required: Sequence[str], delimiter: str, option: str
) -> None:
    """Raise a DatasetError if a first row without the required names holds data.

    That is a number beside something else. `option` names the columns of a file without a header
    row.
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
            names = names_of_cells(cells, required)
            advice = f"Set {option}={names}{also} in the data set's config ('' skips a column)"
        raise DatasetError(
            f"{path}, row 1: {shown} are data and no names of columns: the file has no header "
            f"row. {advice}."
        )


def names_without_header(first: Sequence[str]) -> list[str] | None:
    """Return names for the columns of a file whose first row holds data; None for a header row.

    >>> names_without_header(["a.jpg", "3.5"]), names_without_header(["image", "score"])
    (['image', 'score'], None)
    """
    cells = [cell.strip() for cell in first]
    if len(cells) < 2 or not _are_data(cells):
        return None
    return names_of_cells(cells, ("image", "score"))


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


def names_of_cells(cells: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return names for a row's cells, those `required` for the image (no number) and the score."""
    numeric = [is_number(cell) for cell in cells]
    image = numeric.index(False) if False in numeric else 0
    score = next((i for i, yes in enumerate(numeric) if yes and i != image), None)
    names = {image: required[0], score: required[1]}
    return [names.get(place, "") for place in range(len(cells))]
