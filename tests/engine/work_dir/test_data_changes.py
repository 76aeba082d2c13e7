"""What has changed between two records of a data set, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cliqa.engine.work_dir.data_changes import ROW, describe_changes

IMAGES = [(1, 0.5, 10), (2, 0.25, 20), (3, 0.75, 30)]
NAMES = {1: "a.jpg", 2: "b.jpg", 3: "c.jpg", 4: "d.jpg"}


def rows(images: list[tuple[int, float, int]]) -> np.ndarray:
    return np.array(images, ROW)


def told(then: dict[str, Any], now: dict[str, Any], **options: Any) -> str:
    names = {split: [NAMES[key] for key, *_ in images] for split, images in now.items()}
    old, new = ({split: rows(images) for split, images in one.items()} for one in (then, now))
    return describe_changes(old, new, names, **options)


def test_the_same_data_have_not_changed() -> None:
    assert told({"train": IMAGES}, {"train": IMAGES}) == ""
    assert told({"train": IMAGES}, {"train": IMAGES[::-1]}) == ""  # the digest knows the order


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ([(1, 0.5, 10), (2, 0.5, 20), (3, 1, 30)], "2 of 3 labels differ (first: b.jpg: 0.25 then"),
        ([(1, 0.5, 10), (2, 0.25, 21), (3, 0.75, 30)], "1 image has another size (first: b.jpg)"),
        ([(1, 0.5, 11), (2, 0.25, 21), (3, 0.75, 30)], "2 images have another size (first: a.jpg)"),
        (IMAGES[1:], "1 image is gone"),
        (IMAGES[2:], "2 images are gone"),
        ([*IMAGES, (4, 0.5, 1)], "1 image is new (first: d.jpg)"),
        ([(4, 0.5, 1), *IMAGES[1:]], "1 image is new (first: d.jpg); 1 image is gone"),
    ],
)
def test_every_kind_of_change_is_told(now: list[Any], said: str) -> None:
    assert told({"train": IMAGES}, {"train": now}).startswith(said)


def test_an_image_in_another_split_is_told() -> None:
    then = {"train": IMAGES[:2], "test": IMAGES[2:]}
    now = {"train": IMAGES[:1], "test": IMAGES[1:]}
    assert told(then, now) == "1 image has another split (first: b.jpg: train then, test now)"


def test_an_image_in_two_splits_is_no_change() -> None:
    assert told({"train": IMAGES, "test": IMAGES}, {"train": IMAGES, "test": IMAGES}) == ""


def test_names_that_share_a_key_are_no_change() -> None:
    twins = [(1, 0.5, 10), (1, 0.25, 20)]
    assert told({"train": twins}, {"train": twins}) == ""


def test_a_whole_data_set_is_compared_with_what_was_kept_of_it() -> None:
    then = {"train": IMAGES[:1], "test": IMAGES[1:2]}
    assert told(then, {"all": IMAGES}, only_known=True) == ""
    assert told(then, {"all": IMAGES[1:]}, only_known=True) == "1 image is gone"


def test_classes_are_told_by_name() -> None:
    then, now = [(1, 0, 10)], [(1, 1, 10)]
    said = told({"train": then}, {"train": now}, classes=("cat", "dog"))
    assert said == "1 of 1 labels differ (first: a.jpg: cat then, dog now)"
