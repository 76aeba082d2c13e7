from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.labels.sheet import build_sheet
from cliqa.datasets.own.columns import guess_columns, unused_columns
from cliqa.utils.errors import DatasetError

CELLS: dict[str, Any] = {
    "image": lambda k: f"{k}.jpg",
    "other image": lambda k: f"b/{k}.png",
    "reference": lambda k: f"r{k // 4}.bmp",
    "number": lambda k: f"{1 + k * 7 % 20 / 5}",
    "counter": lambda k: str(k),
    "word": lambda k: f"p{k // 3}",
    "split": lambda k: ("Training", "test")[k % 2],
    "text": lambda k: f"seen {k}",
}


def guess(given: Any = None, **columns: str) -> Any:
    header = [name.replace("__", " ") for name in columns]
    cells = [[CELLS[kind](k) for kind in columns.values()] for k in range(20)]
    sheet = build_sheet(Path("my.csv"), header, cells, range(2, 22))
    found = guess_columns(sheet, given or {}, 1)
    return found, unused_columns(sheet, found)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"image": "image", "score": "number"}, {"image": "image", "score": "score"}),
        (
            {"image_name": "image", "c1": "counter", "MOS": "number", "SD": "number"},
            {"image": "image_name", "score": "MOS", "std": "SD"},
        ),
        # KADID-10k's own file
        (
            {"dist_img": "image", "ref_img": "reference", "dmos": "number", "var": "number"},
            {"image": "dist_img", "score": "dmos", "group": "ref_img"},
        ),
        ({"a": "image", "b": "number", "id": "counter"}, {"image": "a", "score": "b"}),
        ({"Image__name": "text", "MOS": "number"}, {"image": "Image name", "score": "MOS"}),
        (
            {"file": "image", "MOS": "number", "MOS_zscore": "number"},
            {"image": "file", "score": "MOS"},
        ),
        (
            {"file": "image", "set": "split", "prompt": "word", "mos_quality": "number"},
            {"image": "file", "score": "mos_quality", "split": "set", "group": "prompt"},
        ),
        # a column of references is one whatever it is called
        (
            {"x": "image", "y": "reference", "score": "number"},
            {"image": "x", "score": "score", "group": "y"},
        ),
        # documented names are meant, whatever they hold
        ({"image": "text", "score": "number", "group": "text"}, {"group": "group"}),
    ],
)
def test_plain_columns_are_found(columns: dict[str, str], expected: dict[str, str]) -> None:
    found, _ = guess(**columns)
    assert {what: found[what] for what in expected} == expected
    absent = {what for what, name in found.items() if name is None}
    assert absent == set() if len(expected) == 5 else absent.isdisjoint(expected)


def test_columns_without_use_are_told() -> None:
    assert guess(image="image", score="number", age="counter")[1] == ["age"]


def test_no_groups_or_splits_are_made_of_other_things() -> None:
    found, unused = guess(image="image", score="number", source="text", set="word", std="text")
    assert (found["group"], found["split"]) == (None, None)
    assert found["std"] == "std"  # the documented name is meant: its cells are checked later
    assert unused == ["source", "set"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"left": "image", "right": "other image", "score": "number"},
            r"which column names the images to score: left, right\? Add --cfg-options "
            r"scenario\.datasets\.1\.image_column=left \(or scenario\.datasets\.1\.image_column="
            r"right\)\.",
        ),
        (
            {"image": "image", "mos": "number", "dmos": "number"},
            r"which column holds the scores: mos, dmos\? Add --cfg-options "
            r"scenario\.datasets\.1\.score_column=mos \(or",
        ),
        ({"image": "image", "a": "number", "b": "number"}, "holds the scores: a, b"),
        ({"image": "image", "seen": "text"}, "no column holds numbers that are scores"),
        ({"seen": "text", "score": "number"}, r"no column names image files.*image_column=seen"),
    ],
)
def test_what_is_open_is_asked(columns: dict[str, str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        guess(**columns)


def test_both_questions_come_together() -> None:
    with pytest.raises(DatasetError) as error:
        guess(a="text", b="text")
    assert len(str(error.value).splitlines()) == 2


def test_the_users_columns_are_kept() -> None:
    given = {"image_column": "right", "group_column": None, "score_column": "b"}
    found, _ = guess(given, left="image", right="other image", group="word", a="number", b="number")
    assert (found["image"], found["score"], found["group"]) == ("right", "b", None)


def test_a_column_that_the_user_takes_is_nothing_else() -> None:
    found, unused = guess({"score_column": "SD"}, image="image", mos="number", SD="number")
    assert (found["score"], found["std"], unused) == ("SD", None, ["mos"])
