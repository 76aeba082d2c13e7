"""The curve of an online stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.lines import Line2D

from cliqa.visualization.anytime import draw_anytime

ROWS: list[dict[str, Any]] = [
    {"kind": "epoch", "experience": 0, "images": 10, "anytime": {"a": 0.2, "b": 0.9, "c": None}},
    {"kind": "epoch", "experience": 0, "images": 30},
    {"kind": "epoch", "experience": 1, "images": 20},
    *(
        {"kind": "eval", "experience": t, "dataset": name, "srcc": value}
        for t, scores in enumerate(((0.5, -1.0, 0.1), (0.3, 0.7, 0.2)))
        for name, value in zip("abc", scores, strict=True)
    ),
]
RESULTS: dict[str, Any] = {
    "matrix": {"srcc": [[0.5, -1.0, 0.1], [0.3, 0.7, 0.2]]},
    "experiences": ["a", "b"],
    "datasets": ["a", "b", "c"],
    "unseen": ["c"],
}


def across(line: Line2D) -> list[float]:
    found: list[float] = np.asarray(line.get_xdata()).tolist()
    return found


def test_every_set_has_a_line_and_the_seen_a_mean() -> None:
    axes = draw_anytime(ROWS, RESULTS).axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert across(lines["a"]) == [10, 30, 50]
    assert np.asarray(lines["b"].get_ydata()).tolist() == [0.9, -1.0, 0.7]
    assert "c (unseen)" in lines
    assert np.asarray(lines["mean of the seen"].get_ydata()).tolist() == pytest.approx(
        [0.2, 0.5, 0.5]
    )
    (border,) = [across(line) for line in axes.get_lines() if len(set(across(line))) == 1]
    assert border[0] == 30
