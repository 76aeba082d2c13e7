"""Predictions against scores, one panel per data set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.functional import plcc, srcc
from cliqa.evaluation.logistic import logistic_fit
from cliqa.evaluation.predictions import Predictions
from cliqa.evaluation.tables import number
from cliqa.utils.errors import EvaluationError
from cliqa.visualization.style import (
    COLUMN,
    FAINT,
    INK,
    PAGE,
    color,
    new_figure,
    panels_across,
    shortened,
    styled,
)

AXIS_LIMIT = 3.0
"""A forgotten scale may send predictions far outside 0..1; farther ones are counted, not drawn."""


@styled
def draw_scatter(predictions: Mapping[str, Predictions], title: str = "") -> Figure:
    """Draw the predictions of one model against the true scores of every data set.

    The dark curve is the fitted logistic (drawn where the predictions rise with the scores), the
    grey one the identity: both are 0..1, higher = better.

    Args:
        predictions: What the model says, by data set, in the order of the panels.
        title: What the model is, e.g. ``"after koniq"``.

    Raises:
        EvaluationError: There is no data set.
    """
    if not predictions:
        raise EvaluationError("there are no predictions to draw.")
    count = len(predictions)
    across = min(panels_across(count), 4)
    down = -(-count // across)
    width = {1: COLUMN, 2: PAGE * 0.72}.get(across, PAGE)
    figure = new_figure(width, down * (width / across + 0.05) + 0.2, square=True)
    panels = figure.subplots(down, across, sharey=True, squeeze=False).ravel()
    for index, (name, data) in enumerate(predictions.items()):
        axes = panels[index]
        axes.set_title(shortened(name, 26), loc="left", color=color(index))
        _draw_panel(axes, data, color(index))
        if index + across >= count:
            axes.set_xlabel(f"prediction {title}".rstrip())
        if index % across == 0:
            axes.set_ylabel("true score")
    for axes in panels[count:]:
        axes.remove()
    return figure


def _draw_panel(axes: Axes, data: Predictions, own: str) -> None:
    """Draw one data set: points, identity, fitted curve, and the correlations in the corner."""
    keep = np.isfinite(data.prediction)  # a model that has diverged predicts no numbers
    x, y = data.prediction[keep], data.target[keep]
    low, high = _limits(x)
    axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, zorder=0)
    visibility = float(np.clip(14 / np.sqrt(max(x.size, 1)), 0.08, 0.6))
    axes.scatter(
        x,
        y,
        s=float(np.clip(300 / np.sqrt(max(x.size, 1)), 2.5, 12)),
        color=own,
        alpha=visibility,
        linewidths=0,
        rasterized=True,  # 20,000 points would make a PDF that no viewer scrolls
    )
    complete = bool(keep.all())
    fit = logistic_fit(x, y)
    if complete and fit.reason is None:
        line = np.linspace(x.min(), x.max(), 200)
        axes.plot(line, fit(line), color=INK, linewidth=1.3)
    values = (srcc(x, y), plcc(x, y)) if complete else (None, None)
    hidden = int(data.target.size - np.sum((x >= low) & (x <= high)))
    axes.text(
        0.04,
        0.96,
        f"SRCC {_signed(values[0])}\nPLCC {_signed(values[1])}\nn = {data.target.size}"
        + (f"\n{hidden} outside" if hidden else ""),
        transform=axes.transAxes,
        va="top",
        fontsize=7,
        linespacing=1.35,
        bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "alpha": 0.8, "linewidth": 0},
    )
    axes.set_xlim(low, high)
    axes.set_ylim(-0.03, 1.03)
    axes.set_box_aspect(1)


def _limits(x: np.ndarray) -> tuple[float, float]:
    """Return the range of the prediction axis: 0..1, or as far as the points go within bounds."""
    if x.size == 0:
        return -0.03, 1.03
    low = max(min(0.0, float(x.min())), -AXIS_LIMIT)
    high = min(max(1.0, float(x.max())), 1 + AXIS_LIMIT)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _signed(value: float | None) -> str:
    """Return a value with a minus as long as a digit is wide."""
    return number(value).replace("-", "\N{MINUS SIGN}")
