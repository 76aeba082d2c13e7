from __future__ import annotations

import numpy as np
import pytest

from cliqa.datasets.labels.scale import from_unit, to_unit


def test_the_ends_of_the_range_become_0_and_1() -> None:
    raw = np.array([1.0, 3.0, 5.0])
    np.testing.assert_array_equal(to_unit(raw, (1.0, 5.0), higher_is_better=True), [0.0, 0.5, 1.0])
    np.testing.assert_array_equal(to_unit(raw, (1.0, 5.0), higher_is_better=False), [1.0, 0.5, 0.0])
    assert to_unit(raw, (1.0, 5.0), higher_is_better=True).dtype == np.float32


@pytest.mark.parametrize("up", [True, False])
def test_raw_scores_come_back(up: bool) -> None:
    raw = np.random.default_rng(0).uniform(-5.0, 115.0, 200)
    back = from_unit(to_unit(raw, (-5.0, 115.0), up), (-5.0, 115.0), up)
    np.testing.assert_allclose(back, raw, atol=1e-5)  # float32 between
    order = np.argsort(to_unit(raw, (-5.0, 115.0), up))
    assert (np.diff(raw[order]) >= 0).all() == up
