from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from cliqa.datasets.own.guess import guess_section
from cliqa.datasets.quality.score_file import ScoreFile
from tests.datasets.own.conftest import Own


def test_a_plain_csv_is_taken_as_it_is(own: Own) -> None:
    path = own("image,score", lambda k: f"{k}.png,{1 + k / 5}")
    guess = guess_section(path, {}, 0)
    assert guess.mistakes.lines == []
    assert guess.section == {
        "type": "ScoreFile",
        "labels": "my.csv",
        "score_range": (1.0, 5.0),
        "higher_is_better": True,
    }
    assert guess.lines == [
        "columns: image = 'image', score = 'score'",
        "scores: 1..4.8 on the scale 1..5 (guessed; 0..5 or 1..10 would hold them too), higher is "
        "better (by the name 'score')",
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_everything_is_guessed_and_loads(own: Own, delimiter: str) -> None:
    header = delimiter.join(["id", "Filename", "DMOS", "StdDev", "Ref", "Set"])

    def row(k: int) -> str:
        split = "test" if k >= 16 else "training"
        return delimiter.join([str(k), str(k), str(k * 4), "1.5", f"r{k // 4}", split])

    path = own(header, row, folder="Pictures")
    guess = guess_section(path, {}, 0)
    assert guess.mistakes.lines == []
    assert ("delimiter" in guess.section) == (delimiter != ",")
    kind = guess.section.pop("type")
    data = ScoreFile(path.parent, **guess.section)
    assert (kind, data.name, len(data)) == ("ScoreFile", "my", 20)
    assert data.files[3].endswith("/Pictures/3.png")
    assert (data.score_range, data.higher_is_better) == ((0.0, 100.0), False)
    assert data.std is not None
    assert data.groups == tuple(f"r{k // 4}" for k in range(20))
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [12, 4, 4]
    assert guess.lines[0].endswith("not used: 'id'")


def test_other_formats_are_read_alike(own: Own) -> None:
    path = own("photo,mos", lambda k: f"{k}.png,{k * 5}")
    expected = {**guess_section(path, {}, 0).section, "labels": None}
    rows = [{"photo": f"{k}.png", "mos": k * 5} for k in range(20)]
    path.with_suffix(".json").write_text(json.dumps(rows))
    book = openpyxl.Workbook()
    for cells in [("photo", "mos"), *(tuple(row.values()) for row in rows)]:
        book.worksheets[0].append(cells)
    book.save(path.with_suffix(".xlsx"))
    for suffix in (".json", ".xlsx"):
        found = guess_section(path.with_suffix(suffix), {}, 0)
        assert {**found.section, "labels": None} == expected


@pytest.mark.parametrize("cells", ["{}.png;3.5;0.2", "{};4;1", "{}.png;3,5;"])
def test_a_file_without_a_header_row(own: Own, cells: str) -> None:
    path = own(cells.format("0" if ".png" in cells else "a"), cells.format)
    (line,) = guess_section(path, {}, 0).mistakes.lines
    columns = ["['image','mos','']", "['image','dmos','']"]
    first, second = (f'scenario.datasets.0.columns="{names}"' for names in columns)
    assert line.endswith(f"Add --cfg-options {first} (or {second}).")


def test_columns_may_be_given_by_their_places(own: Own) -> None:
    path = own("0.png\t1\t0.2", lambda k: f"{k}.png\t{1 + k / 5}\t0.5")
    path.write_text(path.read_text().partition("\n")[2])  # no header row
    given = {"image_column": 0, "score_column": 1, "std_column": 2}
    guess = guess_section(path, {**given, "higher_is_better": True}, 0)
    assert guess.mistakes.lines == []
    assert {key: guess.section[key] for key in given} == given
    del guess.section["type"]
    assert ScoreFile(path.parent, **guess.section).score_range == (1.0, 5.0)


@pytest.mark.parametrize("name", ["mos", "dmos"])
def test_the_names_of_columns_without_a_header_tell_the_direction(own: Own, name: str) -> None:
    path = own("0.png;3.5;0.2", lambda k: f"{k}.png;3.5;0.2")
    guess = guess_section(path, {"columns": ["image", name, ""], "score_range": (1, 5)}, 0)
    assert guess.mistakes.lines == []
    assert guess.section["score_range"] == (1, 5)
    assert guess.section["higher_is_better"] == (name == "mos")


def test_a_workbook_without_a_header_row_loses_no_image(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(("0.png", 3.5))
    book.worksheets[0].append(("1.png", 2.5))
    book.save(tmp_path / "my.xlsx")
    (line,) = guess_section(tmp_path / "my.xlsx", {}, 0).mistakes.lines
    assert "its first row (0.png, 3.5) holds data" in line


def test_columns_may_be_parted_by_blanks(own: Own) -> None:
    path = own("image  mos", lambda k: f"{k}.png  {1 + k / 5}")
    guess = guess_section(path, {}, 0)
    assert (guess.mistakes.lines, guess.section["delimiter"]) == ([], " ")
    del guess.section["type"]
    assert len(ScoreFile(path.parent, **guess.section)) == 20


def test_blanks_between_columns_without_names_are_no_column(own: Own) -> None:
    path = own("0.png  3.5", lambda k: f"{k}.png  {1 + k / 5}")
    (line,) = guess_section(path, {}, 0).mistakes.lines
    assert """columns="['image','mos']\"""" in line
    assert guess_section(path, {"columns": ["image", "mos"]}, 0).mistakes.lines == []


def test_decimal_commas_are_understood(own: Own) -> None:
    path = own("image;mos;SD", lambda k: f"{k}.png")
    rows = [f"{k}.png;{str(1 + k / 5).replace('.', ',')};0,5" for k in range(20)]
    path.write_text("\n".join(["image;mos;SD", *rows]))
    guess = guess_section(path, {}, 0)
    assert guess.mistakes.lines == []
    del guess.section["type"]
    data = ScoreFile(path.parent, **guess.section)
    np.testing.assert_allclose(data.raw_scores, 1 + np.arange(20) / 5)
    assert data.std is not None
    assert set(data.std) == {0.5}


def test_a_row_for_excel_alone(own: Own) -> None:
    path = own("sep=;", lambda k: f"{k}.png;{k}")
    (line,) = guess_section(path, {}, 0).mistakes.lines
    assert "row 1: 'sep=;' is for Excel alone. Delete this row." in line


def test_names_with_a_number_after_a_point_have_no_suffix(own: Own) -> None:
    path = own("image,mos", lambda k: f"v1.{k},{1 + k / 5}")
    for k in range(20):
        (path.parent / f"{k}.png").rename(path.parent / f"v1.{k}.png")
    guess = guess_section(path, {}, 0)
    assert (guess.mistakes.lines, guess.section["suffix"]) == ([], ".png")


def test_one_column_alone(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("only\na\n")
    (line,) = guess_section(path, {}, 0).mistakes.lines
    assert "one column alone ('only')" in line
    assert "image,score" in line


def test_all_questions_come_at_once(own: Own) -> None:
    path = own("image,value", lambda k: f"{k}.jpg,{1.5 + k / 3}")
    lines = guess_section(path, {}, 0).mistakes.lines
    assert ["images=" in line for line in lines] == [True, False, False]
    assert ["score_range=" in line for line in lines] == [False, True, False]
    assert ["higher_is_better=" in line for line in lines] == [False, False, True]


def test_columns_that_the_user_names_must_be_there(own: Own) -> None:
    path = own("file,mos", lambda k: f"{k}.png,{k}")
    given = {"image_column": "fil", "score_column": "most"}
    assert guess_section(path, given, 0).mistakes.lines == [
        f"{path}: no column 'fil'. Did you mean 'file'? It has file, mos. Set image_column='...' "
        "in the data set's config to the column's name, or to its place from 0.",
        f"{path}: no column 'most'. Did you mean 'mos'? It has file, mos. Set score_column='...' "
        "in the data set's config to the column's name, or to its place from 0.",
    ]
