from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from cliqa.datasets.labels import spreadsheet
from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.utils.errors import DatasetError


def write(path: Path, *rows: Sequence[object]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.worksheets[0].append(list(row))
    book.save(path)
    return path


def test_numbers_and_row_numbers_come_back(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.xlsx",
        ["Image name", "MOS", None],
        ["a.jpg", 1.0, None],
        [None, None, None],
        ["b.jpg", 0.375, "a remark"],
    )
    sheet = read_xlsx(path, ("Image name", "MOS"))
    np.testing.assert_array_equal(sheet.numbers("MOS"), [1.0, 0.375])
    assert sheet.columns["MOS"][0] == "1"
    assert sheet.rows == (2, 4)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", ["Image", "MOS"], ["a", 1])
    with pytest.raises(DatasetError, match=r"no column 'Image name'\. Did you mean 'Image'\?"):
        read_xlsx(path, ("Image name", "MOS"))


def test_an_empty_sheet_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="first sheet is empty"):
        read_xlsx(write(tmp_path / "a.xlsx"), ("MOS",))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_workbook_is_named(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "a.xlsx", ["MOS"], *[[k] for k in range(50)])
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DatasetError, match="no readable .xlsx workbook"):
        read_xlsx(path, ("MOS",))


def test_text_with_the_wrong_suffix_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_text("Image name,MOS\n")
    with pytest.raises(DatasetError, match="no readable .xlsx workbook"):
        read_xlsx(path, ("MOS",))


def test_flipped_bytes_are_an_error_of_the_data_set_or_harmless(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", ["Image name", "MOS"], *[[f"{k}", k] for k in range(20)])
    data = path.read_bytes()
    refused = 0
    for place in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            read_xlsx(path, ("Image name", "MOS"))
        except DatasetError:
            refused += 1
    assert refused > 10


def repack(path: Path, part: str, change: Callable[[bytes], bytes]) -> None:
    """Change one part of a workbook."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    changed = change(parts[part])
    assert changed != parts[part]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, changed if name == part else content)


PAGE = "xl/worksheets/sheet1.xml"


def test_a_workbook_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.xlsx", ["MOS"], [1])
    repack(path, "xl/styles.xml", lambda page: page + bytes(10**6))
    assert path.stat().st_size < 20_000
    monkeypatch.setattr(spreadsheet, "LARGEST", 10**6)
    with pytest.raises(DatasetError, match=r"a\.xlsx: no readable .* would unpack to"):
        read_xlsx(path, ("MOS",))


def test_a_cell_far_away_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", ["MOS", "b"], [1, 2])
    repack(path, PAGE, lambda page: page.replace(b'<row r="2"', b'<row r="99999999999"'))
    with pytest.raises(DatasetError, match="no readable .* more than 1048576 rows"):
        read_xlsx(path, ("MOS",))


@pytest.mark.parametrize("declared", [b"A1:XFD1048576", b"A1:A2"])
def test_the_size_that_a_sheet_declares_does_not_count(tmp_path: Path, declared: bytes) -> None:
    path = write(tmp_path / "a.xlsx", ["MOS", "b"], [1, 2], [3, 4])
    repack(path, PAGE, lambda page: page.replace(b"A1:B3", declared))
    sheet = read_xlsx(path, ("MOS", "b"))
    np.testing.assert_array_equal(sheet.numbers("b"), [2, 4])
