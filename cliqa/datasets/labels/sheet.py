"""Named columns of text cells, as every kind of label file gives them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cliqa.config.suggest import listed
from cliqa.datasets.labels.header import (
    DELIMITERS,
    check_has_header,
    check_names,
    check_width,
    is_number,
)
from cliqa.datasets.labels.label_file import read_lines, read_text
from cliqa.registry import closest
from cliqa.utils.errors import ConfigError, DatasetError


@dataclass(frozen=True)
class Sheet:
    """A label file's cells, by column.

    Attributes:
        source: The file.
        columns: Cells by column name, all of one length, without blanks around them.
        rows: Each row's number in the file, from 1, for messages.
    """

    source: Path
    columns: dict[str, list[str]]
    rows: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, index: int) -> str:
        """Return the file and the row of the row at `index`, as a message begins."""
        return f"{self.source}, row {self.rows[index]}"

    def require(self, names: Iterable[str]) -> None:
        """Check that the columns `names` exist.

        Raises:
            DatasetError: One is missing, or there is no row below the header.
        """
        for name in names:
            if name not in self.columns:
                raise DatasetError(
                    f"{self.source}: no column '{name}'.{closest(name, self.columns)} "
                    f"It has {listed(self.columns)}."
                )
        if not self.rows:
            raise DatasetError(f"{self.source}: no row below the header. Add the labels.")

    def text(self, name: str) -> list[str]:
        """Return a column's cells, none of them empty.

        Raises:
            DatasetError: The column is missing, or a cell is empty.
        """
        self.require([name])
        cells = self.columns[name]
        if "" in cells:
            index = cells.index("")
            raise DatasetError(f"{self.where(index)}: '{name}' is empty. Fill it in.")
        return cells

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as float64 (N,); nan and inf are let through for the later checks.

        Raises:
            DatasetError: The column is missing, or a cell is empty or no number.
        """
        cells = self.text(name)
        if all(map(is_number, cells)):
            return np.array(list(map(float, cells)), dtype=np.float64)
        index = next(i for i, cell in enumerate(cells) if not is_number(cell))
        cell = cells[index]
        comma = " Write decimals with a point." if is_number(cell.replace(",", ".")) else ""
        raise DatasetError(f"{self.where(index)}: '{name}' is '{cell}', which is no number.{comma}")


def read_csv(
    path: Path,
    required: Sequence[str],
    delimiter: str = ",",
    option: str = "",
    columns: Sequence[str] | None = None,
    columns_option: str = "",
) -> Sheet:
    """Read a text file with one header row, or without one.

    Args:
        path: The file.
        required: Columns that must be there.
        delimiter: The one character between two columns.
        option: The config option by which a user may change the delimiter, for the message.
        columns: What the columns of a file without a header row are called, in their order; ``""``
            for one that is not needed. None for a file whose first row names them.
        columns_option: The config option that gives `columns`, for the message.

    Returns:
        The sheet; blank rows are left out.

    Raises:
        ConfigError: The delimiter is not one character, or `columns` are no names.
        DatasetError: The file cannot be read, a column is missing, or a row is not as long as the
            header.
    """
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise ConfigError(f"delimiter must be one character such as ',' or '=', got {delimiter!r}.")
    names = None if columns is None else check_names(columns, required)
    cells, rows = _read_cells(path, delimiter)
    if not cells:
        raise DatasetError(f"{path}: no header row. Its first row must name the columns.")
    if names is not None:
        check_width(path, cells[0], rows[0], names, delimiter)
        sheet = build_sheet(path, names, cells, rows)
    else:
        header = [name.strip() for name in cells[0]]
        if not set(required) <= set(header):
            _check_delimiter(path, header, required, delimiter, option)
            check_has_header(path, header, required, delimiter, columns_option)
        sheet = build_sheet(path, header, cells[1:], rows[1:])
    sheet.require(required)
    return sheet


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


def build_sheet(
    path: Path, header: Sequence[str], cells: Sequence[Sequence[str]], rows: Sequence[int]
) -> Sheet:
    """Turn rows of cells into named columns.

    Raises:
        DatasetError: Two columns share a name, or a row is not as long as the header.
    """
    for place, name in enumerate(header):
        if name and name in header[:place]:
            raise DatasetError(f"{path}: two columns are called '{name}'. Rename one of them.")
    for row, line in zip(rows, cells, strict=True):
        if len(line) != len(header):
            raise DatasetError(
                f"{path}, row {row}: {len(line)} columns where the header has {len(header)}. "
                "Put cells that hold the delimiter into quotes."
            )
    columns = {
        name: [line[place].strip() for line in cells] for place, name in enumerate(header) if name
    }
    return Sheet(path, columns, tuple(rows))


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
