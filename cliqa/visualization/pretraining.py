"""Pretraining curves: the parts of the loss, and the held-out rank accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import INK, MUTED, PAGE, color, new_figure, styled

PARTS = {"cons": "crops agree", "pos": "good anchor", "neg": "bad anchor"}
"""The parts of the loss and how a figure calls them."""

PREFIX = "rank_accuracy_"

NAMED = 6
"""Degradations that a legend can still name."""


@styled
def draw_pretraining(rows: Sequence[Mapping[str, float]]) -> Figure:
    """Draw the parts of the loss and, below, the held-out rank accuracy by degradation.

    Args:
        rows: One an epoch: ``epoch``, the parts, and ``rank_accuracy_<degradation>`` where images
            were held out.

    Raises:
        ArtifactError: There is no row.
    """
    if not rows:
        raise ArtifactError("no epoch of pretraining has been finished, so there is no curve.")
    names = [key for key in rows[-1] if key.startswith(PREFIX)]
    figure = new_figure(0.75 * PAGE, 4.8 if names else 2.6)
    panels = figure.subplots(2 if names else 1, 1, sharex=True, squeeze=False)[:, 0]
    epochs = [row["epoch"] + 1 for row in rows]
    panels[0].plot(epochs, [row["total"] for row in rows], color=INK, linewidth=1.6, label="loss")
    for index, (key, part) in enumerate(PARTS.items()):
        values = [row[key] for row in rows]
        style = "--" if key == "neg" else "-"  # over opposite anchors it lies on the good one's
        panels[0].plot(epochs, values, style, color=color(index), linewidth=1.2, label=part)
    panels[0].set_ylabel("loss")
    panels[0].set_ylim(bottom=0)
    panels[0].legend(loc="upper right", ncols=2)
    if names:
        _draw_accuracy(panels[1], epochs, rows, names)
    panels[-1].set_xlabel("epoch")
    for axes in panels:
        axes.grid(axis="y")
    return figure


def _draw_accuracy(
    axes: Axes, epochs: Sequence[float], rows: Sequence[Mapping[str, float]], names: Sequence[str]
) -> None:
    """Draw the mean, and every degradation: by name where they are few, else in grey."""
    families = [key for key in names if key != f"{PREFIX}overall"]
    few = len(families) <= NAMED
    for index, key in enumerate(families):
        label = key.removeprefix(PREFIX) if few else "one degradation" if index == 0 else None
        shade = color(index) if few else MUTED
        values = [row[key] for row in rows]
        axes.plot(epochs, values, color=shade, linewidth=0.9, alpha=0.8, label=label)
    mean = [row[f"{PREFIX}overall"] for row in rows]
    axes.plot(epochs, mean, color=INK, linewidth=1.8, label="mean")
    axes.axhline(0.5, color=INK, linestyle=":", linewidth=1.0)
    place = axes.get_yaxis_transform()
    axes.text(0.99, 0.51, "chance", transform=place, ha="right", va="bottom", size=7)
    axes.set_ylabel("held-out rank accuracy\n(higher is better)")
    axes.set_ylim(0, 1.02)
    axes.legend(loc="lower right", ncols=2)
