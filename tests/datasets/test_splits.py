from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.datasets.labels.table import ScoreTable
from cliqa.datasets.splits import (
    carve_validation,
    check_fractions,
    seeded_splits,
    with_known_splits,
)
from cliqa.utils.errors import ConfigError, DatasetError

NAMES = [f"{k}.jpg" for k in range(100)]
SHARES = (0.8, 0.1, 0.1)
GOLDEN = "trtevatrtrtetrvatetrtrva"


def test_the_shares_are_met() -> None:
    splits = seeded_splits(NAMES, SHARES, 0, "x")
    assert [splits.count(s) for s in ("train", "val", "test")] == [80, 10, 10]


def test_the_split_is_the_same_for_ever() -> None:
    """A change of these letters would silently move images between published splits."""
    splits = seeded_splits(NAMES[:12], (0.5, 0.25, 0.25), 0, "x")
    assert "".join(s[:2] for s in splits) == GOLDEN


def test_the_order_of_the_rows_does_not_matter() -> None:
    expected = dict(zip(NAMES, seeded_splits(NAMES, SHARES, 0, "x"), strict=True))
    shuffled = random.Random(1).sample(NAMES, len(NAMES))
    assert dict(zip(shuffled, seeded_splits(shuffled, SHARES, 0, "x"), strict=True)) == expected


def test_another_seed_is_another_split() -> None:
    assert seeded_splits(NAMES, SHARES, 0, "x") != seeded_splits(NAMES, SHARES, 1, "x")


def test_one_image_more_moves_few_others() -> None:
    before = seeded_splits(NAMES, SHARES, 0, "x")
    after = seeded_splits([*NAMES, "new.jpg"], SHARES, 0, "x")
    assert sum(a != b for a, b in zip(before, after, strict=False)) <= 2


def test_units_are_never_parted() -> None:
    units = [f"ref{k % 10}" for k in range(100)]
    splits = seeded_splits(units, SHARES, 3, "x")
    assert all(len({s for u, s in zip(units, splits, strict=True) if u == r}) == 1 for r in units)
    assert [splits.count(s) for s in ("train", "val", "test")] == [80, 10, 10]


@pytest.mark.parametrize("total", [3, 4, 7, 29])
def test_every_positive_share_gets_an_image(total: int) -> None:
    splits = seeded_splits(NAMES[:total], (0.98, 0.01, 0.01), 0, "x")
    assert {"train", "val", "test"} == set(splits)
    assert len(splits) == total


def test_a_share_of_zero_gets_none() -> None:
    assert set(seeded_splits(NAMES, (0.0, 0.0, 1.0), 0, "x")) == {"test"}
    assert set(seeded_splits(NAMES, (0.9, 0.0, 0.1), 0, "x")) == {"train", "test"}


def test_too_few_images_are_refused() -> None:
    with pytest.raises(
        DatasetError, match=r"x: 2 images or groups cannot fill 3 splits.*fractions=\(0.8, 0, 0.2\)"
    ):
        seeded_splits(["a", "b", "a"], SHARES, 0, "x")


@pytest.mark.parametrize("wrong", [(0.5, 0.5), 1.0, None, ("a", "b", "c")])
def test_fractions_must_be_three_numbers(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"x: fractions must be three shares"):
        check_fractions(wrong, "x")


@pytest.mark.parametrize("wrong", [(0.8, 0.1, 0.2), (1.1, -0.1, 0.0), (float("nan"), 0, 1)])
def test_fractions_must_sum_to_one(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="x: fractions must be at least 0 and sum to 1"):
        check_fractions(wrong, "x")


def test_validation_is_carved_out_of_train_alone() -> None:
    given = ["train"] * 80 + ["test"] * 20
    carved = carve_validation(given, NAMES, 0.05, 0, "x", "val=0")
    assert [carved.count(s) for s in ("train", "val", "test")] == [76, 4, 20]
    assert carved[80:] == ("test",) * 20


@pytest.mark.parametrize(
    ("given", "share"), [(["train", "val"], 0.5), (["test", "test"], 0.5), (["train", "test"], 0.0)]
)
def test_nothing_is_carved_without_need(given: list[str], share: float) -> None:
    assert carve_validation(given, NAMES[:2], share, 0, "x", "val=0") == tuple(given)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_validation_share_out_of_bounds_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match=r"x: the validation share must be in 0\.\.1"):
        carve_validation(["train"], ["a"], share, 0, "x", "val=0")


def table(*splits: str) -> ScoreTable:
    names = tuple(f"{k}.jpg" for k in range(len(splits)))
    rows = tuple(range(2, 2 + len(splits)))
    return ScoreTable(names, np.zeros(len(splits)), rows, Path("f.csv"), splits=splits)


@pytest.mark.parametrize(
    "words",
    [
        ("training", " Validation", "TEST"),
        ("0", "1", "2"),
        ("0.0", "1.0", "2.0"),
        ("Train ", "dev", "testing"),
    ],
)
def test_spellings_of_splits(words: tuple[str, ...]) -> None:
    assert with_known_splits(table(*words)).splits == ("train", "val", "test")


def test_a_table_without_splits_stays_so() -> None:
    plain = replace(table("0"), splits=None)
    assert with_known_splits(plain) is plain


def test_codes_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert with_known_splits(table("2", "0")).splits == ("test", "train")
    assert "f.csv: the splits 0, 1, 2 are read as train, val, test." in caplog.text


def test_codes_that_may_mean_two_things_are_refused() -> None:
    message = r"f\.csv, row 2: the splits are coded as 0 and 1 alone.*split_names=dict\("
    with pytest.raises(DatasetError, match=message):
        with_known_splits(table("0", "1"), None, "split_names")
    given = with_known_splits(table("0", "1"), {"train": 0, "test": 1}, "split_names")
    assert given.splits == ("train", "test")


def test_a_file_may_have_words_of_its_own() -> None:
    names = {"train": "A", "val": "b", "test": 3}
    assert with_known_splits(table("a", "B", "3.0"), names).splits == ("train", "val", "test")
    with pytest.raises(DatasetError, match=r"row 3: unknown split 'train'"):
        with_known_splits(table("a", "train"), names)


@pytest.mark.parametrize("option", ["", "split_names"])
def test_an_unknown_split_is_named_with_its_row(option: str) -> None:
    with pytest.raises(DatasetError, match=r"f\.csv, row 3: unknown split 'odd'\. Write") as error:
        with_known_splits(table("train", "odd"), None, option)
    assert ("split_names=dict(" in str(error.value)) == bool(option)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"training": "a"}, r"split_names must be dict\(train="),
        ({}, r"split_names must be dict"),
        ("train", r"split_names must be dict"),
        ({"train": "a", "test": "A"}, r"split_names gives two splits one name"),
    ],
)
def test_names_of_splits_must_be_told_apart(names: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_known_splits(table("a"), names, "split_names")


def test_one_image_cannot_be_shared() -> None:
    message = r"x: one image or group to train on.*Add images, or set val=0 to do without one"
    with pytest.raises(DatasetError, match=message):
        carve_validation(["train", "test"], ["a", "b"], 0.1, 0, "x", "val=0")
