from __future__ import annotations

import pytest

from cliqa.transforms.degradations.base import DEGRADATIONS
from cliqa.transforms.degradations.ladders import family_names, find_family, rungs, strength_at
from cliqa.utils.errors import ConfigError

OF_REHEARSAL = {"colour_cast", "grain", "overdrive", "resample", "sharpen"}
"""Families that pretraining has not got: with them, its results would be others."""


def test_every_family_that_rises_has_the_wide_table_and_most_the_standard_one() -> None:
    rising = [name for name in DEGRADATIONS.names() if find_family(name).rises]
    assert family_names("wide") == rising
    assert family_names() == [name for name in rising if name not in OF_REHEARSAL]
    assert len(family_names()) == 15


@pytest.mark.parametrize("name", family_names("wide"))
def test_the_wide_ladder_reaches_as_far_as_the_standard_one(name: str) -> None:
    wide, standard = (find_family(name).ladders.get(t) for t in ("wide", "standard"))
    assert wide is not None
    if standard is not None:
        sign = 1 if standard[-1] > standard[0] else -1
        assert sign * wide[-1] >= sign * standard[-1]


def test_a_strength_anywhere_on_a_ladder() -> None:
    ladder = find_family("noise").ladders["wide"]
    places = [k / (len(ladder) - 1) for k in range(len(ladder))]
    assert [strength_at("noise", place) for place in places] == pytest.approx(list(ladder))
    assert strength_at("noise", 0.125) == pytest.approx((ladder[0] + ladder[1]) / 2)
    assert strength_at("pixelate", 0.4) == 4.0  # 3.6, rounded
    assert strength_at("blur", 1.0, "kadid") == 5.0


def test_the_table_of_swin_hyperiqa_is_the_published_one_with_brightness_in_two() -> None:
    assert family_names("swin_hyperiqa") == ["blur", "brighten", "darken", "jpeg", "noise"]
    table = {name: rungs(name, table="swin_hyperiqa") for name in family_names("swin_hyperiqa")}
    assert table["blur"] == (0.5, 1.0, 1.5, 2.0, 2.5)
    assert table["jpeg"] == (85, 70, 55, 40, 25)
    assert table["noise"] == pytest.approx([s / 255 for s in (5, 10, 15, 20, 25)])
    assert {0.7, 0.5, 0.3} <= set(table["darken"])
    assert {1.3, 1.5} <= set(table["brighten"])


def test_other_numbers_of_levels_are_interpolated() -> None:
    assert rungs("contrast", 3) == pytest.approx((0.8, 0.5, 0.2))
    assert rungs("contrast", 9)[::2] == pytest.approx(rungs("contrast"))
    assert rungs("contrast", 1) == (0.5,)
    assert rungs("jpeg", 8) == (85, 76, 68, 59, 51, 42, 34, 25)


@pytest.mark.parametrize(
    ("name", "levels", "table", "message"),
    [
        ("blurr", 5, "standard", "unknown degradation 'blurr'. Did you mean 'blur'"),
        ("blur", 0, "standard", "'blur': num_levels must be a whole number of at least 1, got 0"),
        ("blur", True, "standard", "num_levels must be a whole number of at least 1, got True"),
        ("blur", 5, "mild", "unknown table of degradations 'mild'. Use kadid, standard, swin"),
        (
            "contrast",
            5,
            "kadid",
            "'contrast' has no table 'kadid'. It has standard, wide; 'kadid' is for",
        ),
        ("pixelate", 8, "standard", "num_levels=8 does not fit between 2 and 8 in whole numbers"),
    ],
)
def test_mistakes_are_named(name: str, levels: int, table: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rungs(name, levels, table)


def test_brightness_has_the_published_levels_and_is_used_only_where_it_is_named() -> None:
    assert rungs("brightness") == (0.7, 0.5, 0.3, 1.3, 1.5)
    assert "brightness" not in family_names()
    with pytest.raises(ConfigError, match="num_levels must be 5, got 3. Use 'darken' and"):
        rungs("brightness", 3)
