"""Tests of the painted landscapes."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.painting.landscape import landscape


@pytest.mark.parametrize("seed", range(5))
def test_the_sky_is_brighter_and_smoother_than_the_wood(seed: int) -> None:
    grey = landscape(96, np.random.default_rng(seed)).mean(axis=2)
    sky, wood = grey[:20], grey[-20:]
    assert sky.mean() > wood.mean() + 0.1
    assert np.abs(np.diff(sky)).mean() < np.abs(np.diff(wood)).mean()
