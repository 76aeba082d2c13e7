"""Two configs at several numbers of training images in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.records.study import LabelStudy
from cliqa.evaluation.records.study_tables import head_of
from cliqa.visualization.style import MUTED, PAGE, color, new_figure, styled

ASIDE = 1.04
"""How far apart the two configs stand at one number of images, as a factor."""


@styled
def draw_label_study(study: LabelStudy) -> Figure:
    """Draw every run as a point and means with 95 % intervals; below, the paired difference.

    Args:
        study: What `build_label_study` returned.
    """
    figure = new_figure(0.75 * PAGE, 4.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    rows = study["rows"]
    names = (study["baseline"], study["other"])
    for index, name in enumerate(names):
        places = [row["images"] * (1 / ASIDE if index == 0 else ASIDE) for row in rows]
        _draw(upper, places, [row[name] for row in rows], color(index), "os"[index], name)
    upper.set_ylabel(f"final {head_of(study['final'])}")
    upper.legend(loc="lower right")
    lower.axhline(0, color=MUTED, linewidth=0.8)
    places = [row["images"] for row in rows]
    _draw(lower, places, [row["difference"] for row in rows], color(2), "D", "difference")
    lower.set_ylabel("difference\n(95 % interval)")
    lower.set_xlabel("training images of each data set")
    lower.set_xscale("log")
    lower.set_xticks(places, [str(place) for place in places])
    lower.minorticks_off()
    for axes in (upper, lower):
        axes.grid(axis="y")
        axes.margins(x=0.08)
    return figure


def _draw(
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
