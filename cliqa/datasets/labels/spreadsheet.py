"""Excel workbooks as sheets of text cells."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import openpyxl

from cliqa.datasets.labels.label_file import read_bytes
from cliqa.datasets.labels.sheet import Sheet, build_sheet
from cliqa.utils.archive import ArchiveError, check_archive
from cliqa.utils.errors import DatasetError

LARGEST = 2**28
"""Bytes that a workbook's parts may have together, unpacked: a few million cells."""
_ROWS, _CELLS = 2**20, 2**24
"""Excel's own limit; and how many cells are read."""


def read_xlsx(path: Path, required: tuple[str, ...], sheet: str = "") -> Sheet:
    """Read a sheet of an ``.xlsx`` workbook; its first row that is not blank is the header.

    Blank rows are left out. Of a formula the value counts that was last stored.

    Args:
        path: The workbook.
        required: Columns that must be there.
        sheet: The sheet's name; empty for the first one.

    Raises:
        DatasetError: The file cannot be read, or the sheet or a `required` column is missing.
    """
    data = read_bytes(path)
    try:
        check_archive(io.BytesIO(data), LARGEST)
        filled = dict(_filled_rows(data, sheet))
    except Exception as error:  # noqa: BLE001  openpyxl has no errors of its own for damage
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(
            f"{path}: no readable .xlsx workbook ({reason}). Download it again, or save it anew."
        ) from error
    if not filled:
        which = f"sheet '{sheet}'" if sheet else "first sheet"
        raise DatasetError(f"{path}: its {which} is empty. The labels must be on it.")
    width = max(map(len, filled.values()))
    header, *lines = [[*line, *[""] * (width - len(line))] for line in filled.values()]
    return build_sheet(path, header, lines, list(filled)[1:], required)


def _filled_rows(data: bytes, sheet: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a sheet that are not blank, with their numbers; see `read_xlsx`.

    A sheet may place a cell anywhere; openpyxl fills up all that lies before it.

    Raises:
        ArchiveError: There are more rows or cells than a sheet of labels has, or no such sheet.
    """
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    if sheet and sheet not in book.sheetnames:
        raise ArchiveError(f"no sheet '{sheet}'; it has {', '.join(book.sheetnames)}")
    pages = book[sheet] if sheet else book.worksheets[0]
    pages.reset_dimensions()  # the declared size may be wrong
    count = 0
    for row, values in enumerate(pages.iter_rows(values_only=True), start=1):
        cells = [_as_text(value) for value in values]
        count += len(cells)
        if row > _ROWS or count > _CELLS:
            raise ArchiveError(f"it has more than {_ROWS} rows or {_CELLS} cells")
        if any(cells):
            yield row, cells
    book.close()


def _as_text(value: object) -> str:
    """Return a cell as text: a whole number without the ``.0`` that Excel stores."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()
