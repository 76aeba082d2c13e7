from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.datasets.labels.csv_labels import read_columns, read_csv
from cliqa.utils.errors import ConfigError, DatasetError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    return path


def test_cells_are_found_by_the_name_of_their_column(tmp_path: Path) -> None:
    path = write(
        tmp_path, 'score, image ,prompt\n1.5, a.jpg,"a, b"\n\n,,\n-2e1,b.jpg,"say ""x"""\n'
    )
    sheet = read_csv(path, ("image", "score"))
    assert sheet.text("image") == ["a.jpg", "b.jpg"]
    assert sheet.columns["prompt"] == ["a, b", 'say "x"']
    np.testing.assert_array_equal(sheet.numbers("score"), [1.5, -20.0])
    assert len(sheet) == 2
    assert sheet.where(1) == f"{path}, row 5"  # blank rows count


def test_rows_after_a_cell_of_two_lines_keep_their_numbers(tmp_path: Path) -> None:
    sheet = read_csv(write(tmp_path, 'image,prompt\na,"x\ny"\nb,z\n'), ("image",))
    assert sheet.rows == (2, 4)
    assert sheet.columns["prompt"] == ["x\ny", "z"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,scores\na,1\n",
            r"no column 'score'\. Did you mean 'scores'\? It has image, scores",
        ),
        ("image,score\n", "no row below the header"),
        (",\n,,\n", "no header row"),
        ("image,score,score\na,1,2\n", "two columns are called 'score'"),
        ("image,score\na,1\nb,1,2\n", "row 3: 3 columns where the header has 2"),
        ("image,score\na\n", "row 2: 1 columns where the header has 2"),
        ('image,score\n"a,1\nb,2\n', r"row 2: .*Close every quote"),
        ('image,score\n"a"b,1\n', r"row 2: .*Close every quote"),
        ("image;score\na;1\n", r"row 1: the columns are separated by ';', not by ','\. Save the"),
        ("image\tscore\na\t1\n", r"separated by '\\t'"),
        ("image=score=x\na=1=1\n", "separated by '='"),
    ],
)
def test_a_broken_file_is_named_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_csv(write(tmp_path, text), ("image", "score"))


def test_the_delimiter_option_is_offered_where_there_is_one(tmp_path: Path) -> None:
    path = write(tmp_path, "image;score\na;1\n")
    with pytest.raises(DatasetError, match=r"or set delimiter=';' in the data set's config"):
        read_csv(path, ("image", "score"), option="delimiter")
    assert read_csv(path, ("image", "score"), delimiter=";").text("image") == ["a"]


@pytest.mark.parametrize("wrong", ["", ";;", "\n", '"', 1])
def test_a_delimiter_is_one_character(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(ConfigError, match="delimiter must be one character"):
        read_csv(write(tmp_path, "image,score\na,1\n"), ("image",), delimiter=wrong)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('"7,5"', r"row 3: 'score' is '7,5', which is not a number\. Write decimals with a point"),
        ("good", r"row 3: 'score' is 'good', which is not a number\. Correct it, or"),
        ("", "row 3: 'score' is empty"),
    ],
)
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, cell: str, message: str) -> None:
    sheet = read_csv(write(tmp_path, f"image,score\na,1\nb,{cell}\n"), ("image",))
    with pytest.raises(DatasetError, match=message):
        sheet.numbers("score")


def test_columns_without_a_header_are_separated_by_any_blanks(tmp_path: Path) -> None:
    path = write(tmp_path, "a.png   0.5\n\n b.png\t1\n")
    sheet = read_columns(path, ("image", "dmos"))
    assert sheet.text("image") == ["a.png", "b.png"]
    assert sheet.rows == (1, 3)
    with pytest.raises(DatasetError, match="row 1: 2 columns, expected 3 separated by blanks"):
        read_columns(path, ("a", "b", "c"))
