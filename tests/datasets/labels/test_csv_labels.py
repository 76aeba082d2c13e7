"""Files with and without a first row that names the columns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.score_columns import read_scores
from cliqa.datasets.labels.sheet import is_number
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.utils.errors import ConfigError, DatasetError

ROWS = [f"ImageDatabase/D{k}.JPG\t{1 + k / 5:.6f}\t0.593217" for k in range(20)]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def make(root: Path, **options: Any) -> ScoreFile:
    return ScoreFile(
        root, "bid_test.txt", score_range=(0, 5), higher_is_better=True, delimiter="\t", **options
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Return the root of a published split: path, score and deviation, rows ended by a bare CR."""
    (tmp_path / "ImageDatabase").mkdir()
    for k in range(20):
        Image.new("RGB", (8, 6), (k, 9 * k, 3)).save(tmp_path / f"ImageDatabase/D{k}.JPG")
    write(tmp_path / "bid_test.txt", "\r".join(ROWS) + "\r")
    return tmp_path


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_the_columns_of_a_file_without_a_header_are_given(published: Path, end: str) -> None:
    write(published / "bid_test.txt", end.join(ROWS) + end)
    data = make(published, columns=["image", "score", "std"])
    assert len(data) == 20
    assert data.std is not None
    np.testing.assert_allclose(data.raw_scores, 1 + np.arange(20) / 5)
    assert make(published, columns=["image", "score", ""]).std is None
    named = make(published, columns=["file", "mos", ""], image_column="file", score_column="mos")
    assert named.split_table() == data.split_table()


def test_the_advice_for_a_missing_header_works(published: Path) -> None:
    with pytest.raises(DatasetError, match=r"row 1: .*the file has no header row\. Set") as error:
        make(published)
    advised = re.search(r"columns=\[([^]]*)\]", str(error.value))
    assert advised is not None
    assert len(make(published, columns=[c.strip(" '") for c in advised[1].split(",")])) == 20


@pytest.mark.parametrize("row", ["{1} {0}", "{0}, {1}", "{0};{2}", "{0}\t{1}", " {0}   {1} "])
def test_an_image_and_a_number_need_no_names(tmp_path: Path, row: str) -> None:
    rows = [row.format(f"I0{k}.bmp", f"{k}.25", f"{k},25") for k in range(3)]
    table = read_scores(write(tmp_path / "a.txt", "\n".join(rows)))
    assert table.images == ("I00.bmp", "I01.bmp", "I02.bmp")
    assert table.raw.tolist() == [0.25, 1.25, 2.25]


def test_columns_may_be_numbered(published: Path) -> None:
    data = make(published, image_column=0, score_column=1, std_column=2)
    assert data.std is not None
    np.testing.assert_allclose(data.raw_scores, 1 + np.arange(20) / 5)
    assert make(published, header=False, score_column=1).split_table() == data.split_table()
    path = write(published / "named.csv", "name,mos,mos\na,1,2\n")
    assert read_scores(path, image_column=0, score_column=2).raw.tolist() == [2.0]
    with pytest.raises(DatasetError, match=r"no column 3\. It has 3, numbered from 0"):
        read_scores(path, image_column=0, score_column=3)
    with pytest.raises(DatasetError, match=r"two columns are called 'mos' .*those at 1 and 2"):
        read_scores(path, image_column=0, score_column="mos")


def test_without_names_the_rows_are_shown_as_read(published: Path) -> None:
    message = r"none of its columns is plainly 'score'.*\['ImageDatabase/D0\.JPG', '1\.0.*\]"
    with pytest.raises(DatasetError, match=message):
        make(published, header=False)


def test_without_an_option_the_row_itself_is_advised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a.jpg,3.5\n")
    with pytest.raises(DatasetError, match=r"Write 'image_name,MOS' above it"):
        read_csv(path, ("image_name", "MOS"))


def test_digits_may_be_names_of_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "image_name,1,2,mos\na.jpg,0,1,3.5\n")
    with pytest.raises(DatasetError, match=r"no column 'image'\. Did you mean"):
        read_scores(path, score_column="mos")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("image,score", r"columns must be a list of names such as"),
        ([0, 1], r"columns must be a list of names"),
        (["image", "score", "score"], r"columns names 'score' twice"),
        (["image", "mos", "std"], r"columns=.* does not name 'score'"),
    ],
)
def test_columns_are_names(published: Path, columns: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(published, columns=columns)


def test_columns_are_as_many_as_the_file_has(published: Path) -> None:
    with pytest.raises(DatasetError, match=r"row 1: 3 columns, and columns=.* names 2\. Name each"):
        make(published, columns=["image", "score"])
    message = r"separated by '\\t', not by ','\. Set delimiter='\\t'"
    columns = ["image", "score", "std"]
    with pytest.raises(DatasetError, match=message):
        read_scores(published / "bid_test.txt", columns=columns, delimiter=",")
    assert len(read_scores(published / "bid_test.txt", columns=columns)) == 20


def test_a_header_that_is_there_is_not_named_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "image,score\na.jpg,3\n")
    with pytest.raises(DatasetError, match=r"row 1: this row names the columns already"):
        read_scores(path, columns=["image", "score"])


def test_columns_are_of_text_files_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"columns=\.\.\. and header=False are for csv files"):
        read_scores(tmp_path / "a.json", columns=["image", "score"])


def test_what_is_a_number() -> None:
    assert [is_number(cell) for cell in ("1.5", "-2e3", "nan", "1_000", "a", "")] == [
        *(True, True, True),
        *(False, False, False),
    ]
