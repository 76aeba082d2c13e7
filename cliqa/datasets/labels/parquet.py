"""Parquet files as sheets of text cells."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from typing import Any

from cliqa.datasets.labels.label_file import read_bytes
from cliqa.datasets.labels.sheet import Sheet, build_sheet
from cliqa.utils.archive import ArchiveError
from cliqa.utils.errors import DatasetError

LARGEST = 2**28
"""Bytes that a file's columns may have together, unpacked."""


def read_parquet(path: Path, required: tuple[str, ...]) -> Sheet:
    """Read a ``.parquet`` table with pyarrow; an empty cell is ``null`` there.

    A row's number is its place in the table, from 1.

    Raises:
        DatasetError: pyarrow is not installed, the file cannot be read, or a `required` column is
            missing.
    """
    data = read_bytes(path)
    try:
        arrow: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DatasetError(
            f"{path}: reading parquet needs pyarrow. Install it (pip install pyarrow), or save the "
            "table as csv."
        ) from error
    try:
        header, cells = _rows(arrow.ParquetFile(io.BytesIO(data)))
    except Exception as error:  # noqa: BLE001  pyarrow's errors have no common base
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(
            f"{path}: no readable parquet file ({reason}). Download it again, or save it anew."
        ) from error
    return build_sheet(path, header, cells, range(1, len(cells) + 1), required)


def _rows(file: Any) -> tuple[list[str], list[list[str]]]:  # noqa: ANN401  pyarrow's
    """Return the columns' names, and the rows' cells.

    Raises:
        ArchiveError: The columns take more memory than labels do: a small file may repeat a cell
            any number of times.
    """
    cells: list[list[str]] = []
    size = 0
    for batch in file.iter_batches(batch_size=1024):
        size += batch.nbytes
        if size > LARGEST:
            raise ArchiveError(f"its cells take more than {LARGEST} bytes")
        columns = batch.to_pydict().values()
        cells += [list(map(_as_text, line)) for line in zip(*columns, strict=True)]
    return list(file.schema_arrow.names), cells


def _as_text(value: object) -> str:
    """Return a value as text that reads back as the same number."""
    return "" if value is None else str(value).strip()
