"""A pretraining's loss and what it has learnt to rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import INK, MUTED, PAGE, color, new_figure, styled

PARTS = {"cons": "crops agree", "pos": "good anchor", "neg": "bad anchor"}
"""The parts of the loss and how a figure calls them."""

PREFIX = "rank_accuracy_"


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
        panels[0].plot(epochs, values, color=color(index), linewidth=1.0, label=part)
    panels[0].set_ylabel("loss")
    panels[0].set_ylim(bottom=0)
    panels[0].legend(loc="upper right", ncols=2)
    if names:
        for key in names:
            whole = key == f"{PREFIX}overall"
            values = [row[key] for row in rows]
            label = "mean" if whole else "one degradation" if key == names[0] else None
            panels[1].plot(
                epochs,
                values,
                color=INK if whole else MUTED,
                linewidth=1.6 if whole else 0.7,
                alpha=1.0 if whole else 0.6,
                label=label,
            )
        panels[1].axhline(0.5, color=INK, linestyle=":", linewidth=1.0)
        panels[1].annotate("chance", (epochs[0], 0.5), (2, 3), textcoords="offset points", size=7)
        panels[1].set_ylabel("held-out rank accuracy\n(higher is better)")
        panels[1].set_ylim(0, 1.02)
        panels[1].legend(loc="lower right")
    panels[-1].set_xlabel("epoch")
    for axes in panels:
        axes.grid(axis="y")
    return figure
