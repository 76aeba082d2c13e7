"""The score matrix as a heat map: each model of a run on each data set."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cliqa.evaluation.records.results import Results, column_labels, main_measure, row_labels
from cliqa.evaluation.records.tables import LABELS
from cliqa.visualization.style import FAINT, INK, MUTED, new_figure, signed, styled, wrapped

CELL = (0.95, 0.5)
"""Width and height of a cell with an interval, in inches."""

SMALL_CELL = (0.62, 0.36)
"""Width and height of a cell without."""


@styled
def draw_matrix(results: Results, measure: str | None = None) -> Figure:
    """Draw a run's main score matrix, or another one, with its values and 95 % intervals.

    The frame of a cell marks the data set that has just been learnt. Colours mean the same in every
    figure: blue from 0 to 1, red below 0; hatched cells are not defined.
    """
    measure = measure or main_measure(results)
    scores = np.array(results["matrix"][measure], dtype=float)  # (T, K), None -> NaN
    bands = results["interval"].get(measure)
    rows, columns = scores.shape
    labels = [wrapped(label, 20) for label in row_labels(results)]
    beside = 0.3 + 0.062 * max(len(line) for label in labels for line in label.split("\n"))
    width, height = CELL if bands else SMALL_CELL
    figure = new_figure(beside + width * columns + 0.8, height * rows + 1.05)
    axes = figure.add_subplot()
    low = -1.0 if np.nanmin(scores, initial=0.0) < 0 else 0.0
    colors, norm = _colors(low), Normalize(low, 1.0)
    image = axes.imshow(
        np.ma.masked_invalid(scores), cmap=colors, norm=norm, aspect="auto", interpolation="none"
    )
    for t in range(rows):
        for k in range(columns):
            band = bands[t][k] if bands else None
            _annotate(axes, t, k, scores[t, k], band, colors(norm(scores[t, k])))
    unseen = len(results.get("unseen", ()))
    if unseen:
        axes.axvline(columns - unseen - 0.5, color=INK, linewidth=1.3)
    if not results.get("joint"):
        for k in range(min(rows, columns - unseen)):
            place = (k - 0.47, k - 0.45)
            axes.add_patch(Rectangle(place, 0.94, 0.9, fill=False, edgecolor=INK, linewidth=1.3))
    axes.set_xticks(
        range(columns), [wrapped(name, 14 if bands else 9) for name in column_labels(results)]
    )
    axes.set_yticks(range(rows), labels)
    axes.set_xlabel("evaluated on")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    axes.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.set_title(LABELS.get(measure, measure), loc="left")
    bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=14, pad=0.02)
    bar.outline.set_visible(False)
    return figure


def _colors(low: float) -> Colormap:
    """Return blue for 0..1, preceded by red for -1..0 where `low` is below 0."""
    blues = colormaps["RdBu"](np.linspace(0.5, 0.93, 256))
    reds = colormaps["RdBu"](np.linspace(0.07, 0.5, 256))
    return ListedColormap(np.concatenate([reds, blues]) if low < 0 else blues)


def _annotate(
    axes: Axes,
    t: int,
    k: int,
    value: float,
    band: list[float] | None,
    background: tuple[float, ...],
) -> None:
    """Write a cell's value and interval in a readable colour."""
    if np.isnan(value):
        patch = Rectangle((k - 0.5, t - 0.5), 1, 1, facecolor="#F4F4F4", edgecolor=FAINT)
        patch.set(hatch="////", linewidth=0)
        axes.add_patch(patch)
        box = {"boxstyle": "square,pad=0.15", "facecolor": "#F4F4F4", "edgecolor": "none"}
        axes.text(k, t, "n/a", ha="center", va="center", color=MUTED, fontsize=7.5, bbox=box)
        return
    red, green, blue = background[:3]
    dark = 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.22
    ink = "white" if dark else INK
    axes.text(
        k,
        t - (0.12 if band else 0),
        signed(value),
        ha="center",
        va="center",
        color=ink,
        fontsize=9,
    )
    if band:
        text = f"[{signed(band[0])}, {signed(band[1])}]"
        axes.text(k, t + 0.24, text, ha="center", va="center", color=ink, fontsize=5.8)
