"""Named columns of text cells, as every kind of label file gives them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from cliqa.config.suggest import listed
from cliqa.registry import closest
from cliqa.utils.errors import DatasetError

Decimal = Literal[".", ","]
"""The sign before the decimals of a number."""

_WITH_COMMA = re.compile(r"\s*[+-]?\d*,\d+(?:[eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*")


def is_number(cell: str) -> bool:
    """Return whether a cell is a number as label files write it.

    ``1_000``, which Python accepts, is not one.
    """
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def has_decimal_comma(cell: str) -> bool:
    """Return whether a cell is a number with a decimal comma.

    >>> has_decimal_comma("-3,5e2"), has_decimal_comma("3.5"), has_decimal_comma("1.000,5")
    (True, False, False)
    """
    return _WITH_COMMA.fullmatch(cell) is not None


def with_points(cells: Sequence[str], decimal: Decimal | None) -> list[str]:
    """Return the cells of a column of numbers with decimal points for commas.

    With `decimal` None commas are taken for decimal ones where no cell has a point, and not all of
    them may part thousands: 1,234.
    """
    commas = [has_decimal_comma(cell) for cell in cells]
    if decimal == "." or not any(commas):
        return list(cells)
    if decimal is None:
        pointed = any("." in cell and is_number(cell) for cell in cells)
        found = [cell for cell, comma in zip(cells, commas, strict=True) if comma]
        if pointed or all(map(_THOUSANDS.fullmatch, found)):
            return list(cells)
    return [c.replace(",", ".") if comma else c for c, comma in zip(cells, commas, strict=True)]


def others(count: int) -> str:
    """Return how many rows share a mistake with the first one, for a message.

    >>> others(1), others(3)
    ('', ' (and 2 more rows)')
    """
    return f" (and {count - 1} more row{'s' * (count > 2)})" if count > 1 else ""


class MissingColumnsError(DatasetError):
    """Columns that a label file must have, and has not.

    Args:
        texts: What is wrong, by the missing column.
    """

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__("\n".join(texts.values()))
        self.texts = dict(texts)


@dataclass(frozen=True)
class Sheet:
    """A label file's cells, by column.

    Attributes:
        source: The file.
        columns: Cells by column name, all of one length, without blanks around them.
        rows: Each row's number in the file, from 1, for messages.
        names: The columns' names in the file's order, as in `columns`; ``""`` for one left out.
        doubled: Names that several columns share, with the places of these from 0; in `columns`
            they are called ``name (place)``.
        decimal: The sign before decimals; None for the one that the numbers show.
    """

    source: Path
    columns: dict[str, list[str]]
    rows: tuple[int, ...]
    names: tuple[str, ...] = ()
    doubled: Mapping[str, Sequence[int]] = field(default_factory=dict)
    decimal: Decimal | None = "."

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, index: int) -> str:
        """Return the file and the row of the row at `index`, as a message begins."""
        return f"{self.source}, row {self.rows[index]}"

    def require(self, names: Iterable[str]) -> None:
        """Check that the columns `names` exist.

        Raises:
            MissingColumnsError: Some are missing.
            DatasetError: There is no row below the header.
        """
        missing = {name: self._missing(name) for name in names if name not in self.columns}
        if missing:
            raise MissingColumnsError(missing)
        if not self.rows:
            raise DatasetError(f"{self.source}: no row below the header. Add the labels.")

    def _missing(self, name: str) -> str:
        """Return why a column is not there."""
        if name in self.doubled:
            places = " and ".join(map(str, self.doubled[name]))
            return (
                f"{self.source}: two columns are called '{name}' (from 0, those at {places}). "
                "Rename one of them."
            )
        return (
            f"{self.source}: no column '{name}'.{closest(name, self.columns)} "
            f"It has {listed(self.columns)}."
        )

    def named(self, place: int) -> str:
        """Return the name in `columns` of the column at a place, from 0.

        Raises:
            DatasetError: There is none.
        """
        if not 0 <= place < len(self.names):
            raise DatasetError(
                f"{self.source}: no column {place}. It has {len(self.names)}, numbered from 0."
            )
        if not self.names[place]:
            raise DatasetError(f"{self.source}: column {place} has no name. Give it one.")
        return self.names[place]

    def text(self, name: str) -> list[str]:
        """Return a column's cells, none of them empty.

        Raises:
            DatasetError: The column is missing, or a cell is empty.
        """
        self.require([name])
        cells = self.columns[name]
        if "" in cells:
            index, more = cells.index(""), others(cells.count(""))
            formula = "; a formula has a value once a spreadsheet program has saved the file"
            hint = formula if self.source.suffix.lower() == ".xlsx" else ""
            raise DatasetError(f"{self.where(index)}: '{name}' is empty{more}. Fill it in{hint}.")
        return cells

    def numbers(self, name: str) -> np.ndarray:
        """Return a column as float64 (N,); nan and inf are let through for the later checks.

        Raises:
            DatasetError: The column is missing, or a cell is empty or no number.
        """
        written = self.text(name)
        cells = with_points(written, self.decimal)
        if all(map(is_number, cells)):
            return np.array(list(map(float, cells)), dtype=np.float64)
        bad = [index for index, cell in enumerate(cells) if not is_number(cell)]
        index, cell = bad[0], written[bad[0]]
        advice = "Correct it, or leave such rows out"
        if has_decimal_comma(cell):
            also = "" if self.decimal else ", or set decimal=',' in the data set's config"
            advice = f"Write decimals with a point{also}"
        raise DatasetError(
            f"{self.where(index)}: '{name}' is '{cell}', which is not a number{others(len(bad))}. "
            f"{advice}."
        )


def build_sheet(
    path: Path,
    header: Sequence[str],
    cells: Sequence[Sequence[str]],
    rows: Sequence[int],
    required: Iterable[str] = (),
) -> Sheet:
    """Turn rows of cells into named columns; columns without a name are left out.

    Raises:
        DatasetError: A row is not as long as the header, or a required column is missing, or
            several have its name.
    """
    for row, line in zip(rows, cells, strict=True):
        if len(line) != len(header):
            raise DatasetError(
                f"{path}, row {row}: {len(line)} columns where the header has {len(header)}. "
                "Put cells that hold the delimiter into quotes."
            )
    places: dict[str, list[int]] = {}
    for place, name in enumerate(header):
        places.setdefault(name, []).append(place)
    doubled = {name: own for name, own in places.items() if name and len(own) > 1}
    names = [f"{name} ({k})" if name in doubled else name for k, name in enumerate(header)]
    columns = {
        name: [line[place].strip() for line in cells] for place, name in enumerate(names) if name
    }
    sheet = Sheet(path, columns, tuple(rows), tuple(names), doubled)
    sheet.require(required)
    return sheet
