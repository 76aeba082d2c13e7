from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.datasets.labels.table import (
    ScoreTable,
    check_range,
    check_table,
    join_tables,
    with_suffix,
)
from cliqa.utils.errors import ConfigError, DatasetError


def table(**changes: Any) -> ScoreTable:
    columns: dict[str, Any] = {
        "images": ("a.jpg", "b.jpg", "c.jpg", "d.jpg"),
        "raw": np.array([1.0, 2.0, 3.0, 4.0]),
        "std": np.array([0.1, 0.2, 0.3, 0.4]),
        "groups": ("x", "x", "y", "z"),
        "splits": ("train", "train", "val", "test"),
        "rows": (2, 3, 5, 6),
        "source": Path("labels.csv"),
        "sources": None,
    }
    return ScoreTable(**{**columns, **changes})


def test_a_right_table_passes_unchanged() -> None:
    given = table()
    checked = check_table(given, (0.0, 5.0))
    for name in ("images", "groups", "splits", "rows", "source"):
        assert getattr(checked, name) == getattr(given, name)
    np.testing.assert_array_equal(checked.raw, given.raw)


def test_take_picks_rows_of_every_column() -> None:
    picked = table(sources=tuple(map(Path, "pqrs"))).take([3, 0])
    assert picked.images == ("d.jpg", "a.jpg")
    assert picked.raw.tolist() == [4.0, 1.0]
    assert picked.std is not None
    assert picked.std.tolist() == [0.4, 0.1]
    assert (picked.groups, picked.splits) == (("z", "x"), ("test", "train"))
    assert picked.where(0) == "s, row 6"
    assert len(table().take([])) == 0


def test_joined_tables_keep_their_files_and_the_columns_that_all_have() -> None:
    joined = join_tables([table(), table(source=Path("more.csv"), std=None)])
    assert len(joined) == 8
    assert joined.where(5) == "more.csv, row 3"
    assert joined.std is None
    assert joined.groups is not None
    assert joined.groups[4:] == ("x", "x", "y", "z")


@pytest.mark.parametrize("column", ["raw", "std", "groups", "splits", "rows", "sources"])
def test_columns_of_another_length_are_refused(column: str) -> None:
    short = np.ones(3) if column in ("raw", "std") else (1, 2, 3)
    with pytest.raises(DatasetError, match=f"labels.csv: 3 entries of '{column}' for 4 images"):
        table(**{column: short})


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(DatasetError, match="labels.csv: no labelled image"):
        check_table(table().take([]), (0.0, 5.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": ("a", "", "c", "d")}, "row 3: the image has no name"),
        ({"raw": np.array([1, np.nan, 3, 4])}, "row 3: score nan is not finite. Remove"),
        ({"raw": np.array([1, np.inf, 3, -np.inf])}, r"row 3: score inf .*\(and 1 more rows\)"),
        (
            {"raw": np.array([1.0, 2.0, 3.0, 11.2])},
            r"row 6: score 11\.2 is outside the declared range 0\.\.5\. "
            r"Set score_range=\(0, 12\) in the data set's config if the file is right",
        ),
        ({"raw": np.array([-0.5, 2.0, 3.0, 6.0])}, r"row 2: .*\(and 1 more rows\).*\(-1, 6\)"),
        ({"std": np.array([0.1, -0.2, 0.3, 0.4])}, r"row 3: standard deviation -0\.2"),
        ({"std": np.array([0.1, 0.2, np.nan, 0.4])}, "row 5: standard deviation nan"),
        (
            {"splits": ("train", "trian", "val", "test")},
            "row 3: unknown split 'trian'. Write train",
        ),
        (
            {"splits": ("train", "val", "val", "test")},
            r"row 3: 'x' has images in the split 'val' and in 'train' \(labels\.csv, row 2\)",
        ),
        (
            {"images": ("a", "b", "a", "d"), "splits": ("train", "train", "val", "test")},
            r"row 5: image 'a' is in the split 'val' and also in 'train' \(labels\.csv, row 2\)"
            ". The splits overlap",
        ),
        (
            {"images": ("a", "a", "c", "d")},
            r"row 3: image 'a' was labelled before \(labels\.csv, row 2\) with other values",
        ),
    ],
)
def test_every_wrong_value_is_named_with_its_row(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        check_table(table(**changes), (0.0, 5.0))


@pytest.mark.parametrize("column", ["std", "groups"])
def test_a_repeated_image_must_agree_in_every_column(column: str) -> None:
    same = {"images": ("a", "a"), "raw": np.ones(2), "rows": (2, 3), "splits": None}
    other = np.array([0.1, 0.2]) if column == "std" else ("x", "y")
    rest = {"std": None, "groups": None, column: other}
    with pytest.raises(DatasetError, match="row 3: image 'a' was labelled before"):
        check_table(table(**same, **rest), (0.0, 5.0))


def test_identical_rows_count_once_and_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    repeated = table().take([0, 1, 0, 2, 3, 3])
    with caplog.at_level(logging.WARNING):
        checked = check_table(repeated, (0.0, 5.0))
    assert checked.images == ("a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert "labels.csv: 2 repeated rows left out" in caplog.text


def test_names_of_other_systems_are_understood() -> None:
    given = table(images=("x\\a.jpg", "./b.jpg", "y//c.jpg", "x/../d.jpg"))
    assert check_table(given, (0.0, 5.0)).images == ("x/a.jpg", "b.jpg", "y/c.jpg", "d.jpg")


def test_names_without_a_suffix_get_one() -> None:
    assert with_suffix(["a", "b.png", "c.d/e"], ".bmp") == ("a.bmp", "b.png", "c.d/e.bmp")


def test_a_range_may_be_any_two_rising_numbers() -> None:
    assert check_range([0, "10"], "x") == (0.0, 10.0)  # type: ignore[list-item]


@pytest.mark.parametrize("wrong", [(1,), (0, 1, 2), "a", None, 5, (0, "b")])
def test_a_range_that_is_not_two_numbers_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"x: score_range must be two numbers \(low, high\)"):
        check_range(wrong, "x")


@pytest.mark.parametrize("wrong", [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1)])
def test_a_range_that_does_not_rise_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="x: score_range must rise from low to high"):
        check_range(wrong, "x")
