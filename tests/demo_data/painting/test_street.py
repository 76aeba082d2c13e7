"""Tests of the painted streets."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.painting.street import street


@pytest.mark.parametrize("seed", range(5))
def test_the_road_is_grey_and_the_houses_have_edges(seed: int) -> None:
    image = street(96, np.random.default_rng(seed))
    road, houses = image[-4:], image[35:70]
    assert np.median(road) == pytest.approx(0.3, abs=0.03)
    assert np.ptp(np.median(road, axis=(0, 1))) < 0.03
    assert np.abs(np.diff(houses, axis=1)).mean() > 0.05
