"""Scores over a run: each data set's curve over time, and its forgetting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cliqa.evaluation.records.results import Results, column_labels, main_measure, row_labels
from cliqa.evaluation.records.tables import LABELS
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import (
    COLUMN,
    FAINT,
    INK,
    MUTED,
    PAGE,
    color,
    marker,
    new_figure,
    panels_across,
    shortened,
    signed,
    slant_labels,
    styled,
    wrapped,
)


@styled
def draw_scores(results: Results) -> Figure:
    """Draw the score on every data set after each experience, one panel per data set.

    The line is dashed until the data set is learnt (filled marker) and full from there on; the band
    is the 95 % interval, the dotted line the score right after learning. What the full line loses
    below the dotted one is forgetting.
    """
    measure = main_measure(results)
    scores = np.array(results["matrix"][measure], dtype=float)  # (T, K)
    bands = _bands(results, measure)  # (T, K, 2)
    rows, columns = scores.shape
    own = columns - len(results.get("unseen", ()))
    across = panels_across(columns)
    down = -(-columns // across)
    figure = new_figure(PAGE if across > 1 else COLUMN, 0.6 + 1.7 * down)
    panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).ravel()
    for k, axes in enumerate(panels[:columns]):
        learnt = k if k < min(rows, own) and not results.get("joint") else None
        _draw_panel(axes, scores[:, k], bands[:, k], learnt, k)
        axes.set_title(shortened(column_labels(results)[k], 26), loc="left", color=color(k))
        axes.grid(axis="y")
    low = min(0.0, float(np.nanmin(np.r_[bands.ravel(), scores.ravel()], initial=0.0)))
    room = 0.05 * (1 - low)  # a marker at an end is not cut
    panels[0].set_ylim(low - room * (low < 0), 1 + room)
    panels[0].set_xlim(-0.4, rows - 0.6)
    _label_steps(panels, columns, across, row_labels(results))
    figure.supylabel(LABELS.get(measure, measure), fontsize=8)
    for axes in panels[columns:]:
        axes.remove()
    if rows > 1:
        handles = _legend_handles(bool(np.isfinite(bands).any()))
        figure.legend(handles=handles, loc="outside lower center", ncols=5 if across > 1 else 2)
    return figure


def _legend_handles(with_bands: bool) -> list[Artist]:
    """Return what the legend explains, in a neutral colour."""
    own: dict[str, Any] = {"color": MUTED, "markerfacecolor": "white", "markersize": 4}
    handles: list[Artist] = [
        Line2D([], [], linestyle="--", marker="o", linewidth=1, label="not yet learnt", **own),
        Line2D([], [], marker="o", label="learnt", **own),
        Line2D([], [], linestyle="", marker="o", color=MUTED, label="just learnt"),
        Line2D([], [], linestyle=":", color=MUTED, linewidth=0.9, label="level when learnt"),
    ]
    if with_bands:
        handles.append(Patch(facecolor=MUTED, alpha=0.25, label="95 % interval"))
    return handles


def _bands(results: Results, measure: str) -> np.ndarray:
    """Return the intervals of a measure as (T, K, 2), NaN where there is none."""
    scores = results["matrix"][measure]
    given = results["interval"].get(measure) or [[None] * len(row) for row in scores]
    nothing = (np.nan, np.nan)
    return np.array([[band or nothing for band in row] for row in given], dtype=float)


def _draw_panel(
    axes: Axes, scores: np.ndarray, bands: np.ndarray, learnt: int | None, index: int
) -> None:
    """Draw one data set's scores (T,) with their intervals (T, 2)."""
    steps = np.arange(scores.size)
    own = color(index)
    since = scores.size - 1 if learnt is None else learnt
    if learnt is not None:
        axes.axvline(learnt, color=FAINT, linewidth=0.8, zorder=0)
        axes.plot([learnt, scores.size - 1], [scores[learnt]] * 2, ":", color=MUTED, linewidth=0.9)
    if scores.size > 1:
        axes.fill_between(steps, bands[:, 0], bands[:, 1], color=own, alpha=0.18, linewidth=0)
    else:
        reach = np.abs(bands - scores[:, None]).T
        axes.errorbar(steps, scores, reach, color=own, capsize=3, linewidth=1)
    axes.plot(steps[: since + 1], scores[: since + 1], "--", color=own, linewidth=1)
    axes.plot(steps[since:], scores[since:], "-", color=own)
    shape = marker(index)
    axes.plot(steps, scores, shape, color=own, markerfacecolor="white", markeredgewidth=1)
    if learnt is not None:
        axes.plot([learnt], scores[[learnt]], shape, color=own, markersize=5.5)
    for t in map(float, np.flatnonzero(np.isnan(scores))):
        axes.text(
            t, 0.03, "n/a", transform=axes.get_xaxis_transform(), ha="center", color=MUTED, size=6
        )


def _label_steps(panels: np.ndarray, columns: int, across: int, labels: Sequence[str]) -> None:
    """Name the experiences below the lowest panel of every column."""
    names = [label.removeprefix("after ") for label in labels]
    numbered = len(names) > 6
    crowded = not numbered and (len(names) > 4 or max(map(len, names)) > 14)
    shown = [shortened(name, 20) if crowded else wrapped(name, 14) for name in names]
    for k, axes in enumerate(panels[:columns]):
        lowest = k + across >= columns
        axes.set_xticks(range(len(names)), shown)
        if numbered:
            every = range(0, len(names), -(-len(names) // 5))
            axes.set_xticks(every, [str(t + 1) for t in every])
        axes.tick_params(axis="x", labelbottom=lowest)
        if lowest:
            axes.set_xlabel("after experience" if numbered else "after learning")
        if crowded:
            slant_labels(axes)


@styled
def draw_forgetting(results: Results) -> Figure:
    """Draw every data set's score right after it was learnt, and at the end of the run.

    The number beside a line is the change; their mean over all but the last data set is backward
    transfer (BWT). The title has the forgetting since the best score, too.

    Raises:
        ArtifactError: The run has learnt fewer than two experiences one after the other.
    """
    measure = main_measure(results)
    scores = np.array(results["matrix"][measure], dtype=float)  # (T, K), None -> NaN
    count = min(scores.shape)
    if results.get("joint") or count < 2:
        raise ArtifactError("forgetting needs two experiences learnt one after the other.")
    bands = results["interval"].get(measure)
    figure = new_figure(PAGE * 0.8, 1.1 + 0.32 * count)
    axes = figure.add_subplot()
    for k in range(count):
        band = bands[-1][k] if bands else None
        _draw_change(axes, k, scores[k, k], scores[-1, k], band, is_last=k == count - 1)
    names = [shortened(name, 26) for name in results["datasets"][:count]]
    axes.set_yticks(range(count), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(count - 0.5, -0.5)
    axes.set_xlabel(f"{LABELS.get(measure, measure)} (higher is better)")
    axes.grid(axis="x")
    summary = results["summary"]
    axes.set_title(
        f"forgetting {signed(summary.get('forgetting'))}    BWT {signed(summary.get('bwt'))}",
        loc="left",
    )
    axes.text(1.02, 1.0, "change", transform=axes.transAxes, va="bottom", size=7.5, color=MUTED)
    handles = [
        Line2D([], [], marker="o", color=MUTED, linestyle="", markerfacecolor="white"),
        Line2D([], [], marker="o", color=MUTED, linestyle="-"),
    ]
    final = "at the end (bar: 95 % interval)" if bands else "at the end"
    figure.legend(handles, ["just learnt", final], loc="outside lower center", ncols=2)
    return figure


def _draw_change(
    axes: Axes, k: int, learnt: float, final: float, band: list[float] | None, *, is_last: bool
) -> None:
    """Draw one data set's two scores and what lies between them."""
    own = color(k)
    axes.axhline(k, color=FAINT, linewidth=0.6, zorder=0)
    if band:
        axes.plot(band, [k, k], color=own, alpha=0.3, linewidth=5, solid_capstyle="butt")
    axes.plot([learnt, final], [k, k], color=own, linewidth=1.6)
    axes.plot([learnt], [k], "o", color=own, markerfacecolor="white", markersize=6.5)
    axes.plot([final], [k], "o", color=own, markersize=5)
    change = None if np.isnan(final - learnt) else final - learnt
    text = "last" if is_last else signed(change)
    ink = MUTED if is_last or change is None else INK
    place = axes.get_yaxis_transform()
    axes.text(1.02, k, text, transform=place, va="center", size=7.5, color=ink)
