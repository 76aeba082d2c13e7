"""Methods and their exported files: accuracy against size and against speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from cliqa.evaluation.records.phases import HEADS, Phases
from cliqa.visualization.style import MUTED, PAGE, color, marker, new_figure, styled

PANELS = {"mib": "file size (MiB)", "fps_1": "images per second of CPU time, batch 1"}
"""The columns that accuracy is drawn over, and what their axes say."""


def not_beaten(points: Sequence[tuple[float, float]], larger: bool) -> list[int]:
    """Return which points (cost or speed, accuracy) no other one beats in both.

    Args:
        points: x and y of each; a larger y is better.
        larger: A larger x is better too; else a smaller one.

    >>> not_beaten([(3.0, 0.7), (1.0, 0.7), (2.0, 0.6)], larger=False)
    [1]
    >>> not_beaten([(3.0, 0.7), (1.0, 0.8), (2.0, 0.6)], larger=True)
    [0, 1]
    """
    sign = 1.0 if larger else -1.0
    found = []
    for index, (x, y) in enumerate(points):
        beaten = any(
            (sign * a, b) != (sign * x, y) and sign * a >= sign * x and b >= y for a, b in points
        )
        found += [] if beaten else [index]
    return found


@styled
def draw_phases(phases: Phases) -> Figure:
    """Draw every arm's mean accuracy with its interval, over file size and over speed.

    Arms whose means no other one beats in both are filled.
    """
    rows = [row for row in phases["rows"] if _accuracy(row) is not None]
    figure = new_figure(PAGE, 3.4)
    panels: Sequence[Axes] = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (name, label) in zip(panels, PANELS.items(), strict=True):
        points = [
            (row["columns"][name]["mean"], row["columns"]["accuracy"]["mean"]) for row in rows
        ]
        front = not_beaten(points, larger=name != "mib")
        for index, row in enumerate(rows):
            _draw(axes, index, row["columns"], name, filled=index in front)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel(label)
        axes.grid()
        axes.margins(0.12)
    panels[0].set_ylabel(f"{HEADS['accuracy']} (class-IL, all tasks after the last)")
    handles = [
        panels[0].plot([], [], marker(k), color=color(k), linestyle="", label=row["label"])[0]
        for k, row in enumerate(rows)
    ]
    handles += panels[0].plot(
        [], [], "o", color=MUTED, markerfacecolor="white", linestyle="", label="beaten in both"
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _accuracy(row: Mapping[str, Any]) -> float | None:
    """Return an arm's mean accuracy."""
    mean: float | None = row["columns"]["accuracy"]["mean"]
    return mean


def _draw(
    axes: Axes, index: int, columns: Mapping[str, Mapping[str, Any]], name: str, *, filled: bool
) -> None:
    """Draw one arm with its intervals in both directions."""
    across, up = columns[name], columns["accuracy"]
    axes.errorbar(
        across["mean"],
        up["mean"],
        xerr=_reach(across),
        yerr=_reach(up),
        color=color(index),
        marker=marker(index),
        markerfacecolor=color(index) if filled else "white",
        markersize=6,
        elinewidth=1.0,
        capsize=2.0,
        zorder=3,
    )


def _reach(column: Mapping[str, Any]) -> float | None:
    """Return half the interval's length, None where there is none; no end lies below zero."""
    if column["high"] is None:
        return None
    return float(min(column["high"] - column["mean"], 0.9 * column["mean"]))
