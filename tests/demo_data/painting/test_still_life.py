"""Tests of the painted still lifes."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.painting.still_life import still_life


@pytest.mark.parametrize("seed", range(5))
def test_bodies_stand_out_from_a_plain_wall(seed: int) -> None:
    image = still_life(96, np.random.default_rng(seed))
    wall, table = image[:10], image[55:85]
    assert np.abs(np.diff(wall, axis=1)).max() < 0.05
    assert np.abs(np.diff(table, axis=1)).max() > 0.15


def test_a_body_has_highlights_and_shadows() -> None:
    images = np.stack([still_life(64, np.random.default_rng(k)) for k in range(8)])
    assert (images.max(axis=(1, 2, 3)) > 0.9).all()
    assert (images.min(axis=(1, 2, 3)) < 0.1).all()
