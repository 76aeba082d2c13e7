"""Painted objects: classes differ, and time changes their look smoothly."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.painting.clear_objects import CLASSES, paint_object


def paint(label: str, time: float, seed: int = 0) -> np.ndarray:
    return paint_object(label, 32, time, np.random.default_rng(seed)).astype(float)


def test_an_image_follows_from_its_arguments() -> None:
    image = paint_object("plain_disc", 32, 0.5, np.random.default_rng(3))
    assert image.dtype == np.uint8
    assert image.shape == (32, 32, 3)
    assert np.array_equal(image, paint("plain_disc", 0.5, 3))
    assert not np.array_equal(image, paint("plain_disc", 0.5, 4))


def test_all_classes_can_be_told_apart() -> None:
    assert len(CLASSES) == len(set(CLASSES)) == 18
    images = np.stack([paint(label, 0.0) for label in CLASSES])
    gaps = np.abs(images[:, None] - images[None]).mean(axis=(2, 3, 4))  # (K, K)
    assert gaps[~np.eye(18, dtype=bool)].min() > 1.0


@pytest.mark.parametrize("label", ["plain_disc", "striped_ring"])
def test_the_look_moves_away_from_where_it_began(label: str) -> None:
    images = [paint(label, time) for time in (0.0, 0.1, 0.4, 1.0)]
    gaps = [float(np.abs(image - images[0]).mean()) for image in images]
    assert gaps == sorted(gaps)
    assert 0 < gaps[1] < 0.5 * gaps[3]
