"""Studies: several configs over several seeds, or two at several numbers of training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.records.study import SUFFIX_TASK_IL, LabelStudy, Study
from cliqa.evaluation.records.study_tables import head_of, shown_name
from cliqa.visualization.style import (
    FAINT,
    INK,
    MUTED,
    PAGE,
    color,
    new_figure,
    shortened,
    styled,
)

SPREAD = (0.22, 0.38)
"""How far below its mean the points of a config lie, the first and the last one."""

ASIDE = 1.04
"""How far apart the two configs stand at one number of images, as a factor."""


@styled
def draw_study(study: Study) -> Figure:
    """Draw every run as a point, and every config's mean (of splits: median) with its interval.

    There is a panel for the final mean, one for that of task-IL where there is one, and one for
    forgetting. Dotted lines are the means of naive fine-tuning and of joint training.
    """
    rows = study["rows"]
    known = rows[0]["columns"]
    wanted = (study["final"], study["final"] + SUFFIX_TASK_IL, "forgetting")
    columns = [name for name in wanted if name in known]
    figure = new_figure(PAGE, 0.75 + 0.36 * len(rows))
    panels: Sequence[Axes] = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        for index, row in enumerate(rows):
            _draw_row(axes, index, row["columns"][column], column == "forgetting")
        if column != "forgetting":
            _draw_bounds(axes, study, column)
        axes.set_xlabel(head_of(column) if column == "forgetting" else f"final {head_of(column)}")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.2)  # room for the lines' names
    names = [shortened(shown_name(study, row["config"]), 28) for row in rows]
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].set_ylim(len(rows) - 0.4, -0.9)  # the first row on top, under the lines' names
    return figure


def _draw_row(axes: Axes, index: int, column: dict[str, Any], zero: bool) -> None:
    """Draw one config's runs and their mean; `zero` marks where nothing is forgotten."""
    axes.axhline(index + 0.5, color=FAINT, linewidth=0.6, zorder=0)
    if zero:
        axes.axvline(0, color=MUTED, linewidth=0.6, zorder=0)
    values = np.array([value for value in column["values"].values() if value is not None])
    below = index + np.linspace(*SPREAD, values.size)
    if values.size:
        axes.plot(values, below, ".", color=color(index), alpha=0.55, markersize=4, zorder=2)
    if column["mean"] is None:
        place = axes.get_yaxis_transform()
        axes.text(0.5, index, "n/a", transform=place, ha="center", va="center", color=MUTED, size=7)
        return
    start = "median_" if "median" in column else ""  # of random splits
    center = column["median" if start else "mean"]
    low, high = column[f"{start}low"], column[f"{start}high"]
    axes.errorbar(
        center,
        index,
        xerr=None if high is None or low == high else [[center - low], [high - center]],
        color=color(index),
        marker="D",
        markersize=4.5,
        elinewidth=1.4,
        capsize=2.5,
        zorder=3,
    )


def _draw_bounds(axes: Axes, study: Study, column: str) -> None:
    """Draw the means of naive fine-tuning and of joint training as dotted lines with names."""
    rows = {row["config"]: row["columns"][column]["mean"] for row in study["rows"]}
    means = {name: rows.get(study[name]) for name in ("naive", "joint")}
    bounds = {name: mean for name, mean in means.items() if mean is not None}
    lowest = min(bounds.values(), default=0.0)
    for name, mean in bounds.items():
        axes.axvline(mean, color=INK, linestyle=":", linewidth=1.0, zorder=1)
        aside = -3 if mean == lowest else 3  # names stand outside, where they cannot collide
        axes.annotate(
            name,
            (mean, -0.62),
            xytext=(aside, 0),
            textcoords="offset points",
            ha="right" if aside < 0 else "left",
            va="center",
            size=7,
            color=INK,
        )


@styled
def draw_label_study(study: LabelStudy) -> Figure:
    """Draw every run as a point and means with 95 % intervals; below, the paired difference."""
    figure = new_figure(0.75 * PAGE, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    rows = study["rows"]
    names = (study["baseline"], study["other"])
    for index, name in enumerate(names):
        places = [row["images"] * (1 / ASIDE if index == 0 else ASIDE) for row in rows]
        shown = shown_name(study, name)
        _draw_means(upper, places, [row[name] for row in rows], color(index), "os"[index], shown)
    upper.set_ylabel(f"final {head_of(study['final'])}")
    upper.legend(loc="lower right")
    lower.axhline(0, color=MUTED, linewidth=0.8)
    places = [row["images"] for row in rows]
    _draw_means(lower, places, [row["difference"] for row in rows], color(2), "D", "difference")
    lower.set_ylabel("difference\n(95 % interval)")
    lower.set_xlabel("training images of each data set")
    lower.set_xscale("log")
    lower.set_xticks(places, [str(place) for place in places])
    lower.minorticks_off()
    for axes in (upper, lower):
        axes.grid(axis="y")
        axes.margins(x=0.08)
    return figure


def _draw_means(
    axes: Axes,
    places: Sequence[float],
    columns: Sequence[Mapping[str, Any]],
    shade: str,
    marker: str,
    label: str,
) -> None:
    """Draw a config's points, its means as a line, and their intervals."""
    for place, column in zip(places, columns, strict=True):
        values = [value for value in column["values"] if value is not None]
        axes.plot([place] * len(values), values, ".", color=shade, alpha=0.5, markersize=4)
    known = [(x, c) for x, c in zip(places, columns, strict=True) if c["mean"] is not None]
    reach = [0.0 if c["high"] is None else c["high"] - c["mean"] for _, c in known]
    axes.errorbar(
        [x for x, _ in known],
        [c["mean"] for _, c in known],
        yerr=reach,
        color=shade,
        marker=marker,
        markersize=4.5,
        linewidth=1.2,
        capsize=2.5,
        label=label,
    )
