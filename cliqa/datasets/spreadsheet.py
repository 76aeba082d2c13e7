"""Excel workbooks as sheets of text cells."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from cliqa.datasets.label_file import read_bytes
from cliqa.datasets.sheet import Sheet, build_sheet
from cliqa.utils.errors import DatasetError

# openpyxl has no error of its own for most damage: what its parts meet comes through.
_DAMAGE = (
    InvalidFileException,
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    SyntaxError,  # of the XML inside
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,  # an encrypted archive, or one of a later version
    EOFError,
    ArithmeticError,
    MemoryError,
)


def read_xlsx(path: Path, required: tuple[str, ...]) -> Sheet:
    """Read the first sheet of an ``.xlsx`` workbook; its first row that is not blank is the header.

    Args:
        path: The file.
        required: Columns that must be there.

    Returns:
        The sheet; blank rows are left out. Of a formula the value counts that was last stored.

    Raises:
        DatasetError: The file cannot be read, or a column is missing.
    """
    data = read_bytes(path)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        values = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    except _DAMAGE as error:
        raise DatasetError(
            f"{path}: no readable .xlsx workbook ({error}). Download it again, or save it anew."
        ) from error
    cells = [[_as_text(value) for value in row] for row in values]
    rows = [row for row, line in enumerate(cells, start=1) if any(line)]
    filled = [cells[row - 1] for row in rows]
    if not filled:
        raise DatasetError(f"{path}: its first sheet is empty. The labels must be on it.")
    width = max(map(len, filled))
    filled = [line + [""] * (width - len(line)) for line in filled]
    sheet = build_sheet(path, filled[0], filled[1:], rows[1:])
    sheet.require(required)
    return sheet


def _as_text(value: Any) -> str:  # noqa: ANN401
    """Return a cell as text: a whole number without the ``.0`` that Excel stores."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
