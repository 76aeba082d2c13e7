from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.datasets.labels.label_file import read_bytes, read_lines, read_text
from cliqa.utils.errors import DatasetError

LABELS = "name,score\nä.jpg,1\nb.jpg,2\n"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_encoding_and_line_end_gives_the_same_text(
    tmp_path: Path, encoding: str, end: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(LABELS.replace("\n", end).encode(encoding))
    assert read_text(path) == LABELS


def test_lines_keep_their_row_numbers_and_unusual_separators(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\n a b \n\nc\u2028d\x0ce\n".encode())
    assert read_lines(path) == (["a b", "c\u2028d\x0ce"], [2, 4])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n\r\n", "empty"),
        (b"a,b\rc,\xe9\r", r"a\.csv, row 2: byte 0xe9 is not utf-8.*encoding UTF-8"),
        (b"a,b\r\n\r\nc,\xe9", r"row 3: byte 0xe9"),
        (b"a\nb\0c", r"row 2: a NUL byte"),
        (b"\xff\xfea\x00\x00", "is not utf-16"),
        (b"PK\x03\x04...", "zip archive or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0...", "old Excel workbook"),
        (b"\x1f\x8b...", "gzip"),
        (b"\x80\x04...", "Python pickle, which runs whatever code"),
        (b"\x93NUMPY...", "NumPy array"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"<HTML>", "web page"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read_text(path)


def test_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    with pytest.raises(DatasetError, match=r"no such label file\. Did you mean 'labels\.csv'\?"):
        read_bytes(tmp_path / "label.csv")
    with pytest.raises(DatasetError, match=r"Nor is there a folder .*nowhere"):
        read_bytes(tmp_path / "nowhere" / "label.csv")


def test_a_folder_is_no_label_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is a folder"):
        read_bytes(tmp_path)


def test_a_path_that_no_system_reads_is_an_error_of_the_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        read_bytes(tmp_path / ("x" * 300))
