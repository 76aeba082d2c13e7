"""Named columns of text cells, as every kind of label file gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cliqa.config.suggest import listed
from cliqa.registry import closest
from cliqa.utils.errors import DatasetError


def is_number(cell: str) -> bool:
    """Return whether a cell is a number as label files write it.

    ``1_000``, which Python accepts, is not one.
    """
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


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
            MissingColumnsError: Some are missing.
            DatasetError: There is no row below the header.
        """
        missing = {
            name: f"{self.source}: no column '{name}'.{closest(name, self.columns)} "
            f"It has {listed(self.columns)}."
            for name in names
            if name not in self.columns
        }
        if missing:
            raise MissingColumnsError(missing)
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
        cells = self.text(name)
        if all(map(is_number, cells)):
            return np.array(list(map(float, cells)), dtype=np.float64)
        bad = [index for index, cell in enumerate(cells) if not is_number(cell)]
        index, cell = bad[0], cells[bad[0]]
        comma = is_number(cell.replace(",", "."))
        advice = "Write decimals with a point" if comma else "Correct it, or leave such rows out"
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
    """Turn rows of cells into named columns.

    Raises:
        DatasetError: Two columns share a name, a row is not as long as the header, or a required
            column is missing.
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
    sheet = Sheet(path, columns, tuple(rows))
    sheet.require(required)
    return sheet
