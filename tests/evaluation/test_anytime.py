"""Measures of an online stream."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.evaluation.anytime import anytime_area, anytime_points, anytime_summary


def rows() -> list[dict[str, Any]]:
    """Return two experiences of 30 and 20 images; a is evaluated in the middle of both."""
    return [
        {"kind": "epoch", "experience": 0, "images": 10, "anytime": {"a": 0.2, "b": 0.9}},
        {"kind": "epoch", "experience": 0, "images": 30},
        {"kind": "epoch", "experience": 1, "images": 10, "anytime": {"a": 0.4, "b": 0.6}},
        {"kind": "epoch", "experience": 1, "images": 20},
        {"kind": "eval", "experience": 0, "dataset": "a", "srcc": 0.5},
        {"kind": "eval", "experience": 0, "dataset": "b", "srcc": -1.0},
        {"kind": "eval", "experience": 1, "dataset": "a", "srcc": 0.3},
        {"kind": "eval", "experience": 1, "dataset": "b", "srcc": 0.7},
    ]


def test_points_are_means_over_what_was_seen() -> None:
    found = anytime_points(rows(), ["a", "b"], "srcc")
    assert found == [(10, 0.2), (30, 0.5), (40, pytest.approx(0.5)), (50, pytest.approx(0.5))]


def test_the_area_weights_by_images() -> None:
    expected = (0.2 * 10 + 0.5 * 20 + 0.5 * 10 + 0.5 * 10) / 50
    assert anytime_summary(rows(), ["a", "b"], "srcc") == {"aaa": pytest.approx(expected)}
    assert anytime_area([(10, 0.1), (20, 0.3), (30, 0.5)]) == pytest.approx(0.3)  # equal distances


def test_what_is_not_defined_is_no_number() -> None:
    assert anytime_area([]) is None
    assert anytime_area([(10, None), (20, 0.5)]) is None
    assert anytime_summary(rows()[1:2] + rows()[4:], ["a", "b"], "srcc") == {}
