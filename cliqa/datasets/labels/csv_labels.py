"""Text files of labels: csv with or without a header row, and columns separated by blanks."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from cliqa.datasets.labels.label_file import read_lines, read_text
from cliqa.datasets.labels.layouts.shape import (
    DELIMITERS,
    are_data,
    check_no_pairs,
    fitting_layout,
    guess_delimiter,
    names_of_cells,
    names_without_header,
    plain_names,
    shown_rows,
)
from cliqa.datasets.labels.sheet import Sheet, build_sheet
from cliqa.utils.errors import ConfigError, DatasetError


def read_csv(
    path: Path,
    required: Sequence[str],
    delimiter: str | None = ",",
    option: str = "",
    columns: Sequence[str] | None = None,
    columns_option: str = "",
    header: bool | None = None,
) -> Sheet:
    """Read a text file with one header row, or without one; blank rows are left out.

    Args:
        path: The file.
        required: Columns that must be there.
        delimiter: The one character between two columns; a blank stands for any number of them.
            None for the one that the first rows show.
        option: The config option by which a user may change the delimiter, for the message.
        columns: The columns' names of a file without a header row, in their order; ``""``
            for one that is not needed. None for a file whose first row names them.
        columns_option: The config option that gives `columns`, for the message.
        header: Whether the first row names the columns; None for what it looks like. Without names
            the only column of numbers is called as the second of `required`, the only other one
            as the first, and the rest by their places from 0.

    Raises:
        ConfigError: The delimiter is not one character, or `columns` are not names.
        DatasetError: The file cannot be read, a column is missing, or a row is not as long as the
            header.
    """
    names = None if columns is None else _check_names(columns, required)
    if delimiter is None:
        delimiter = guess_delimiter(read_lines(path)[0], required, len(names or ()))
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise ConfigError(f"delimiter must be one character such as ',' or '=', got {delimiter!r}.")
    cells, rows = _read_cells(path, delimiter)
    if not cells:
        raise DatasetError(f"{path}: no header row. Its first row must name the columns.")
    check_no_pairs(path, cells[0])
    if names is not None:
        _check_width(path, cells, rows[0], names, delimiter)
        return build_sheet(path, names, cells, rows, required)
    if _has_no_header(cells[0], required, columns_option, header):
        names = plain_names(cells[0], required)
        return _with_numbers(path, names, cells, rows, required)
    first = [name.strip() for name in cells[0]]
    if not set(required) <= set(first):
        _check_delimiter(path, first, required, delimiter, option)
        if header is None:
            _check_has_header(path, cells, required, delimiter, columns_option)
    return build_sheet(path, first, cells[1:], rows[1:], required)


def _has_no_header(
    first: Sequence[str], required: Sequence[str], option: str, header: bool | None
) -> bool:
    """Return whether a first row is data: as told, or an image and a number, as is asked for."""
    if header is not None:
        return not header
    plain = len(first) == 2 or not required
    return bool(option) and plain and names_without_header(first) is not None


def _with_numbers(
    path: Path,
    names: Sequence[str],
    cells: Sequence[Sequence[str]],
    rows: Sequence[int],
    required: Sequence[str],
) -> Sheet:
    """Return the sheet of a file without a header row."""
    missing = [name for name in required if name not in names]
    if missing:
        raise DatasetError(
            f"{path}: without a header row, none of its columns is plainly '{missing[0]}'. Its "
            f"first rows are read as {shown_rows(cells)}. Set image_column and score_column to the "
            "places of the columns, from 0: image_column=0, score_column=1."
        )
    return build_sheet(path, names, cells, rows)


def _read_cells(path: Path, delimiter: str) -> tuple[list[list[str]], list[int]]:
    """Return the cells of a text file's rows that are not blank, and the rows' numbers."""
    text = read_text(path)
    if delimiter == " ":
        text = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
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
    path: Path, cells: Sequence[Sequence[str]], row: int, names: Sequence[str], delimiter: str
) -> None:
    """Raise a DatasetError if a file's first row is a header, or not as long as `names`."""
    first = cells[0]
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
        "Name each of them, '' for one that is not needed. The first rows are read as "
        f"{shown_rows(cells)}."
    )


def _check_has_header(
    path: Path,
    rows: Sequence[Sequence[str]],
    required: Sequence[str],
    delimiter: str,
    option: str,
) -> None:
    """Raise a DatasetError if a first row without the required names holds data.

    That is a number beside something else. `option` names the columns of a file without a header
    row.
    """
    line = delimiter.join(rows[0])
    for other in (delimiter, *DELIMITERS.replace(delimiter, ""), " "):
        cells = [cell.strip() for cell in line.split(other)]
        if len(cells) < 2 or not are_data(cells):
            continue
        shown = ", ".join(f"'{cell}'" for cell in cells[:4])
        advice = f"Write {other.join(required)!r} above it"
        if option:
            also = f" and delimiter={other!r}" if other != delimiter else ""
            names = names_of_cells(cells, required)
            advice = f"Set {option}={names}{also} in the data set's config ('' skips a column)"
            layout = fitting_layout(cells)
            advice += f", or layout='{layout}'" if layout else ""
            advice += f". Its first rows are read as {shown_rows(rows)}"
        raise DatasetError(
            f"{path}, row 1: {shown} are data and no names of columns: the file has no header "
            f"row. {advice}."
        )
