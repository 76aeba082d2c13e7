"""Predictions against scores, one panel per data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.functional import plcc, srcc
from cliqa.evaluation.logistic import logistic_fit
from cliqa.evaluation.records.predictions import ScorePredictions
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
    signed,
    styled,
)

AXIS_LIMIT = 3.0
"""A forgotten scale may send predictions far away; what lies farther outside the range of scores
than this many times its width is counted, not drawn."""

Intervals = Mapping[str, Sequence[float] | None]
"""[low, high] by measure: ``srcc``, ``plcc``."""


@styled
def draw_scatter(
    predictions: Mapping[str, ScorePredictions],
    title: str = "",
    intervals: Mapping[str, Intervals] | None = None,
    scale: Literal["dataset", "unit"] | None = None,
) -> Figure:
    """Draw the predictions of one model against the true scores of every data set.

    The dark curve is the fitted logistic (drawn where the predictions rise with the scores), the
    grey one the identity: both are 0..1 (or on the label file's own scale), higher = better.
    `title` names the model (``"after koniq"``); intervals of 95 % are written behind the measures.
    `scale` is ``"dataset"`` for the label file's units and direction, or ``"unit"``; by default
    the former where one data set is shown.

    Raises:
        EvaluationError: There is no data set.
    """
    if not predictions:
        raise EvaluationError("there are no predictions to draw.")
    count = len(predictions)
    across = min(panels_across(count), 4)
    down = -(-count // across)
    width = {1: COLUMN, 2: PAGE * 0.72}.get(across, PAGE)
    figure = new_figure(width, down * (width / across + 0.4) + 0.2, square=True)
    own = scale == "dataset" or (scale is None and count == 1)
    panels = figure.subplots(down, across, sharey=not own, squeeze=False).ravel()
    for index, (name, data) in enumerate(predictions.items()):
        axes = panels[index]
        found = data.scale() if own else None
        data = data.on_own_scale() if found else data
        ends = found or _scale(data.target)
        axes.set_title(shortened(name, 26), loc="left", color=color(index), pad=34)
        _draw_panel(axes, data, color(index), (intervals or {}).get(name, {}), ends)
        if index + across >= count:
            axes.set_xlabel(f"prediction {title}".rstrip())
        if index % across == 0:
            lower = ", lower is better" if ends[0] > ends[1] else ""
            axes.set_ylabel(f"true score{lower}")
    for axes in panels[count:]:
        axes.remove()
    return figure


def _draw_panel(
    axes: Axes,
    data: ScorePredictions,
    own: str,
    intervals: Intervals,
    ends: tuple[float, float],
) -> None:
    """Draw one data set: points, identity, fitted curve, and the correlations above.

    `ends` are the worst and the best score.
    """
    keep = np.isfinite(data.prediction)  # a model that has diverged predicts no numbers
    x, y = data.prediction[keep], data.target[keep]
    scale = min(ends), max(ends)
    low, high = _limits(x, scale)
    axes.plot(scale, scale, color=FAINT, linewidth=1, zorder=0)
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
    facts = (
        f"SRCC {_with_band(values[0], intervals.get('srcc'))}",
        f"PLCC {_with_band(values[1], intervals.get('plcc'))}",
        f"n = {data.target.size}"
        + (f", {hidden} outside" if hidden else "")
        + (", [95 % interval]" if intervals.get("srcc") else ""),
    )
    axes.annotate(
        "\n".join(facts),  # above the panel: a cloud of points leaves no corner free for sure
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        va="bottom",
        fontsize=6.5,
        linespacing=1.3,
    )
    axes.set_xlim(low, high)
    margin = 0.03 * (scale[1] - scale[0])
    axes.set_ylim(scale[0] - margin, scale[1] + margin)
    axes.set_box_aspect(1)


def _scale(target: np.ndarray) -> tuple[float, float]:
    """Return the range of the true scores: 0..1, or that of the values if they leave it."""
    if target.size == 0 or (target.min() >= 0 and target.max() <= 1):
        return 0.0, 1.0
    low, high = float(target.min()), float(target.max())
    return (low, high) if low < high else (low - 0.5, low + 0.5)


def _limits(x: np.ndarray, scale: tuple[float, float]) -> tuple[float, float]:
    """Return the range of the prediction axis: the scores', or as far as points go in bounds."""
    reach = AXIS_LIMIT * (scale[1] - scale[0])
    low = max(float(np.min(x, initial=scale[0])), scale[0] - reach)
    high = min(float(np.max(x, initial=scale[1])), scale[1] + reach)
    margin = 0.03 * (high - low)
    return low - margin, high + margin


def _with_band(value: float | None, band: Sequence[float] | None) -> str:
    """Return a value with its interval, where both exist."""
    if value is None or band is None:
        return signed(value)
    return f"{signed(value)} [{signed(band[0])}, {signed(band[1])}]"
