"""Tests of the photographs: found, dealt without leaks, and cropped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cliqa.datasets.photo_folder import find_photos
from cliqa.demo_data.photos import assign_photos, crop_photo, fingerprint
from cliqa.utils.errors import DatasetError


def test_the_fingerprint_knows_names_and_sizes_but_not_the_folder(photo_folder: Path) -> None:
    photos = find_photos(photo_folder, 1)
    before = fingerprint(photos)
    assert fingerprint(photos[:-1]) != before
    photos[0].write_bytes(photos[0].read_bytes() + b"more")
    assert fingerprint(photos) != before


@pytest.mark.parametrize("count", [9, 10, 60])
def test_no_photograph_is_dealt_twice(count: int) -> None:
    photos = [Path(f"{k:03d}.jpg") for k in range(count)]
    hands = assign_photos(photos, 3, (500, 50, 200), seed=0)
    dealt = [photo for hand in hands for own in hand.values() for photo in own]
    assert sorted(dealt) == photos
    assert all(own for hand in hands for own in hand.values())
    assert hands != assign_photos(photos, 3, (500, 50, 200), seed=1)
    assert hands == assign_photos(photos, 3, (500, 50, 200), seed=0)


def test_without_photographs_the_hands_are_empty() -> None:
    assert assign_photos([], 2, (3, 1, 1), seed=0) == [{"train": [], "val": [], "test": []}] * 2


def test_a_crop_lies_in_the_photograph_and_keeps_the_aspect(tmp_path: Path) -> None:
    height, width = 90, 200
    ramp = np.zeros((height, width, 3), np.uint8)
    ramp[..., 0] = np.arange(width)
    ramp[..., 1] = np.arange(height)[:, None]
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    sides, mirrored = set(), set()
    for seed in range(30):
        crop = crop_photo(tmp_path / "ramp.png", 40, np.random.default_rng(seed)) * 255
        assert crop.shape == (40, 40, 3)
        right, down = np.diff(crop[..., 0]).mean(), np.diff(crop[..., 1], axis=0).mean()
        assert abs(right) == pytest.approx(down, rel=0.02)
        assert 1.0 - 0.03 <= down <= 90 / 40 + 0.03
        sides.add(round(down, 2))
        mirrored.add(right < 0)
    assert len(sides) > 10
    assert mirrored == {True, False}


def test_a_crop_follows_from_the_seed(photo_folder: Path) -> None:
    first, same = (
        crop_photo(photo_folder / "a.jpg", 32, np.random.default_rng(1)) for _ in range(2)
    )
    assert np.array_equal(first, same)


def test_small_and_damaged_photographs_are_named(photo_folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.jpg: 60 x 40 pixels, smaller than .* Set size=40"):
        crop_photo(photo_folder / "a.jpg", 41, np.random.default_rng(0))
    (photo_folder / "z.png").write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"z\.png"):
        crop_photo(photo_folder / "z.png", 32, np.random.default_rng(0))
