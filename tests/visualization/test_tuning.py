"""The figure of a tuning: a panel for each key, and the best trial."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from cliqa.visualization.tuning import draw_tuning


def record(trials: list[tuple[float, str, float | None, str]]) -> dict[str, Any]:
    return {
        "space": {"a.strength": "1..100:log", "a.mode": "[x, y]"},
        "trials": [
            {"values": {"a.strength": s, "a.mode": m}, "mean": mean, "state": state}
            for s, m, mean, state in trials
        ],
    }


def places(axes: Axes, size: float) -> list[tuple[float, float]]:
    lines = [line for line in axes.lines if line.get_markersize() == size]
    return [tuple(map(float, np.ravel(line.get_xydata()))) for line in lines]  # type: ignore[misc]


def test_every_trial_stands_at_its_values_and_the_best_finished_one_is_encircled() -> None:
    trials = [
        (1.0, "y", 0.5, "finished"),
        (10.0, "x", 0.7, "finished"),
        (100.0, "x", 0.9, "pruned"),
        (50.0, "y", None, "failed"),
    ]
    figure = draw_tuning(record(trials), ["a.strength"])
    left, right = figure.axes
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["finished", "best", "pruned"]
    assert places(left, 4.5) == [(1, 0.5), (10, 0.7), (100, 0.9)]
    assert places(left, 10) == [(10, 0.7)]
    assert places(right, 4.5) == [(1, 0.5), (0, 0.7), (0, 0.9)]
    assert [text.get_text() for text in right.get_xticklabels()] == ["x", "y"]
    assert (left.get_xscale(), left.get_xlabel()) == ("log", "a.strength")
    assert left.get_ylabel() == "mean on validation data"
    colours = [line.get_color() for line in left.lines if line.get_markersize() == 4.5]
    assert colours[0] == colours[1] != colours[2]


def test_many_keys_take_several_lines() -> None:
    one = {"values": {str(k): float(k) for k in range(4)}, "mean": 0.5, "state": "finished"}
    figure = draw_tuning({"space": dict.fromkeys("0123", "0..9"), "trials": [one]})
    assert [axes.get_visible() for axes in figure.axes] == [True] * 4 + [False] * 2
