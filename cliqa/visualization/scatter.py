"""Predictions against scores, one panel per data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cliqa.evaluation.functional import plcc, srcc, why_undefined
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

FIT_IMAGES = 20
"""Fewest images for which a fitted curve is drawn: one of four parameters passes through a few."""

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

    The dark curve is the fitted logistic, the grey line the identity: both are 0..1 (or on the
    label file's own scale), higher = better. Where there is no curve, the panel says why: there are
    fewer than `FIT_IMAGES` images, or the predictions do not rise with the scores.
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
    figure = new_figure(width, down * (width / across + 0.55) + 0.2, square=True)
    own = scale == "dataset" or (scale is None and count == 1)
    panels = figure.subplots(down, across, sharey=not own, squeeze=False).ravel()
    facts = []
    for index, (name, data) in enumerate(predictions.items()):
        axes = panels[index]
        found = data.scale() if own else None
        data = data.on_own_scale() if found else data
        ends = found or _scale(data.target)
        drawn = _draw_panel(axes, data, color(index), (intervals or {}).get(name, {}), ends)
        facts.append(drawn)
        if index + across >= count:
            axes.set_xlabel(f"prediction {title}".rstrip())
        if index % across == 0:
            lower = ", lower is better" if ends[0] > ends[1] else ""
            axes.set_ylabel(f"true score{lower}")
    lines = max(map(len, facts))
    for index, name in enumerate(predictions):
        _add_header(panels[index], shortened(name, 26), color(index), facts[index], lines)
    for axes in panels[count:]:
        axes.remove()
    _add_legend(list(panels[:count]))
    return figure


def _add_legend(panels: Sequence[Axes]) -> None:
    """Name the lines in the first panel with a curve, whose lower right corner is mostly free."""
    fitted = next((axes for axes in panels if len(axes.lines) > 1), None)
    axes = fitted if fitted is not None else panels[0]
    handles = [Line2D([], [], color=FAINT, linewidth=1, label="prediction = score")]
    if fitted is not None:
        handles.append(Line2D([], [], color=INK, linewidth=1.3, label="fitted logistic"))
    size = 6 if len(panels) < 4 else 5
    axes.legend(handles=handles, loc="lower right", fontsize=size, handlelength=1.4, borderpad=0.2)


def _draw_panel(
    axes: Axes,
    data: ScorePredictions,
    own: str,
    intervals: Intervals,
    ends: tuple[float, float],
) -> tuple[str, ...]:
    """Draw one data set: points, identity, fitted curve; return the lines to write above it.

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
    missing = _draw_fit(axes, x, y) if complete else "not all are numbers"
    values = (srcc(x, y), plcc(x, y)) if complete else (None, None)
    hidden = int(data.target.size - np.sum((x >= low) & (x <= high)))
    facts = (
        f"SRCC {_with_band(values[0], intervals.get('srcc'))}",
        f"PLCC {_with_band(values[1], intervals.get('plcc'))}",
        f"n = {data.target.size}"
        + (f", {hidden} outside" if hidden else "")
        + (", [95 % interval]" if intervals.get("srcc") else ""),
        *((f"no curve: {missing}",) if missing else ()),
    )
    axes.set_xlim(low, high)
    margin = 0.03 * (scale[1] - scale[0])
    axes.set_ylim(scale[0] - margin, scale[1] + margin)
    axes.set_box_aspect(1)
    return facts


def _add_header(axes: Axes, name: str, own: str, facts: Sequence[str], lines: int) -> None:
    """Write the name and the facts above a panel: points leave no corner inside free for sure.

    Facts that are fewer than `lines` end higher, so that those of all panels are level.
    """
    axes.set_title(name, loc="left", color=own, pad=4 + 10 * lines)
    axes.annotate(
        "\n".join([*facts, *[""] * (lines - len(facts))]),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 3),
        textcoords="offset points",
        va="bottom",
        fontsize=6.5,
        linespacing=1.3,
    )


def _draw_fit(axes: Axes, x: np.ndarray, y: np.ndarray) -> str:
    """Draw the fitted logistic, or return in a few words why there is none."""
    if x.size < FIT_IMAGES:
        return f"under {FIT_IMAGES} images"
    if why_undefined(x, y) is not None:
        return "nothing varies"
    fit = logistic_fit(x, y)
    if fit.reason is not None:
        falls = (plcc(x, y) or 0.0) < 0
        return "wrong direction" if falls else "the fit failed"
    line = np.linspace(x.min(), x.max(), 200)
    axes.plot(line, fit(line), color=INK, linewidth=1.3)
    return ""


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
