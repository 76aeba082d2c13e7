"""The figure of two configs at several numbers of training images."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.visualization.study import draw_label_study


def estimate(*values: float | None) -> dict[str, Any]:
    """Return a column over seeds with an interval of +-0.1."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return {"values": list(values), "mean": None, "low": None, "high": None}
    mean = sum(known) / len(known)
    return {"values": list(values), "mean": mean, "low": mean - 0.1, "high": mean + 0.1}


def bars(axes: Any) -> Any:
    """Return the means with their bars, in the order drawn."""
    return axes.containers


def test_means_stand_at_their_numbers_of_images() -> None:
    rows = [
        {
            "images": images,
            "seeds": ["seed 0", "seed 1"],
            "plain": estimate(0.3, 0.5),
            "tuned": estimate(0.6, undefined),
            "difference": estimate(0.3, undefined),
        }
        for images, undefined in ((50, 0.8), (500, None))
    ]
    study = {"final": "msrcc", "baseline": "plain", "other": "tuned", "rows": rows}
    figure = draw_label_study(study)
    upper, lower = figure.axes
    legend = upper.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["plain", "tuned"]
    plain, tuned = (drawn.lines[0] for drawn in bars(upper))
    assert plain.get_ydata().tolist() == pytest.approx([0.4, 0.4])
    assert tuned.get_ydata().tolist() == pytest.approx([0.7])  # of the other one seed has no score
    assert plain.get_xdata()[0] < 50 < tuned.get_xdata()[0]
    assert [tick.get_text() for tick in lower.get_xticklabels()] == ["50", "500"]
    assert bars(lower)[0].lines[0].get_ydata().tolist() == pytest.approx([0.55])
