"""CLEAR's five measures against Avalanche's."""

from __future__ import annotations

import numpy as np
import pytest
from avalanche.benchmarks.classic.clear import CLEARMetric

from cliqa.evaluation.matrix import clear_measures
from cliqa.utils.errors import EvaluationError


@pytest.mark.parametrize("size", range(2, 12))
def test_equals_avalanche(size: int) -> None:
    matrix = np.random.default_rng(size).random((size, size))
    expected = CLEARMetric().get_metrics(matrix)
    found = clear_measures(matrix)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_equals_the_values_by_hand() -> None:
    assert clear_measures([[0.5, 0.4, 0.3], [0.6, 0.7, 0.2], [0.1, 0.8, 0.9]]) == {
        "in_domain": pytest.approx((0.5 + 0.7 + 0.9) / 3),
        "next_domain": pytest.approx((0.4 + 0.2) / 2),
        "accuracy": pytest.approx((0.5 + 0.6 + 0.7 + 0.1 + 0.8 + 0.9) / 6),
        "backward_transfer": pytest.approx((0.6 + 0.1 + 0.8) / 3),
        "forward_transfer": pytest.approx((0.4 + 0.3 + 0.2) / 3),
    }


def test_one_bucket_has_only_itself() -> None:
    assert clear_measures([[0.5]]) == {
        "in_domain": 0.5,
        "next_domain": None,
        "accuracy": 0.5,
        "backward_transfer": None,
        "forward_transfer": None,
    }


def test_streaming_has_only_what_lies_ahead() -> None:
    ahead: list[list[float | None]] = [[None, 0.4, 0.3], [None, None, 0.2], [None, None, None]]
    found = clear_measures(ahead)
    assert found["next_domain"] == pytest.approx(0.3)
    assert found["forward_transfer"] == pytest.approx(0.3)
    assert found["in_domain"] is None
    assert found["accuracy"] is None
    assert found["backward_transfer"] is None


def test_refuses_a_matrix_that_is_not_square() -> None:
    with pytest.raises(EvaluationError, match=r"a square matrix, got \(2, 3\)"):
        clear_measures(np.zeros((2, 3)))
