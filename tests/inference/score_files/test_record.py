"""Records of unfinished tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.inference.score_files.record import (
    check_nothing_left,
    check_record,
    record_of,
    write_record,
)
from cliqa.utils.errors import ConfigError

OWN = {"model": "a" * 64, "crops": None, "scale": [0.0, 1.0]}


def test_equal_records_agree(tmp_path: Path) -> None:
    write_record(tmp_path / "s.csv", OWN)
    check_record(tmp_path / "s.csv", {**OWN})
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv.resume.json"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": "b" * 64}, r'model \(then "aaaaaaaaaaaaaaa\.\.\., now "bbbbbbbbbbbbbbb\.\.\.\)'),
        ({"crops": "grid:5x5"}, r'crops \(then null, now "grid:5x5"\)'),
        ({"scale": [1.0, 5.0], "crops": "x"}, r"crops .* scale \(then \[0\.0, 1\.0\], now"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, change: dict[str, object], told: str) -> None:
    write_record(tmp_path / "s.csv", OWN)
    with pytest.raises(ConfigError, match=rf"s\.csv was begun with another {told}"):
        check_record(tmp_path / "s.csv", {**OWN, **change})


@pytest.mark.parametrize("content", ["", "[1]", "{"])
def test_a_damaged_record_is_told(tmp_path: Path, content: str) -> None:
    record_of(tmp_path / "s.csv").write_text(content)
    with pytest.raises(ConfigError, match=r"cannot be read .* To begin anew, delete s"):
        check_record(tmp_path / "s.csv", OWN)


def test_rows_of_a_killed_run_are_not_overwritten(tmp_path: Path) -> None:
    check_nothing_left(None)
    (tmp_path / "s.csv.part").write_text("image,score\n")
    check_nothing_left(tmp_path / "s.csv")  # nobody could continue it
    write_record(tmp_path / "s.csv", OWN)
    with pytest.raises(ConfigError, match=r"s\.csv\.part beside it holds .* Add --resume"):
        check_nothing_left(tmp_path / "s.csv")
