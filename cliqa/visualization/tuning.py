"""Tunings: what every trial reached, over each of the tuned keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.visualization.style import INK, MUTED, PAGE, color, new_figure, shortened, styled

ACROSS = 3
"""Panels side by side."""


@styled
def draw_tuning(record: Mapping[str, Any], logs: Sequence[str] = ()) -> Figure:
    """Draw the mean of every trial over each tuned key; the best one is encircled.

    Trials that were pruned after some seeds are grey; those that were pruned before the end of
    their first run, whose values nothing stands beside, are crosses at the bottom.

    Args:
        record: The content of ``tune.json``.
        logs: Keys that are drawn by their logarithm.
    """
    keys = list(record["space"])
    columns = min(ACROSS, len(keys))
    lines = -(-len(keys) // columns)
    figure = new_figure(PAGE if columns > 1 else PAGE / 2, 0.8 + 2.2 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    flat = list(panels.flat)
    trials = [t for t in record["trials"] if t["mean"] is not None or t["state"] == "pruned"]
    for axes, key in zip(flat, keys, strict=False):
        _draw(axes, key, trials, key in logs)
    for axes in flat[len(keys) :]:
        axes.set_visible(False)
    for line in panels:
        line[0].set_ylabel("mean on validation data")
    handles, labels = flat[0].get_legend_handles_labels()
    shown = dict(zip(labels, handles, strict=True))
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=2 * columns)
    return figure


def _draw(axes: Axes, key: str, trials: Sequence[Mapping[str, Any]], log: bool) -> None:
    """Draw one key's panel."""
    texts = any(isinstance(trial["values"][key], str) for trial in trials)
    names = sorted({str(trial["values"][key]) for trial in trials}) if texts else []
    finished = [trial for trial in trials if trial["state"] == "finished"]
    best = max(finished, key=lambda trial: trial["mean"], default=None)
    for trial in trials:
        value = trial["values"][key]
        place = names.index(str(value)) if texts else value
        whole = trial["state"] == "finished"
        if trial["mean"] is None:
            edge = axes.get_xaxis_transform()
            early = axes.plot(place, 0.03, "x", color=MUTED, markersize=4.5, transform=edge)
            early[0].set_label("pruned in its first run")
            continue
        tone, state = (color(0), "finished") if whole else (MUTED, "pruned")
        axes.plot(place, trial["mean"], "o", color=tone, markersize=4.5, label=state)
        if trial is best:
            ring = axes.plot(place, trial["mean"], "o", color=INK, markersize=10, label="best")
            ring[0].set_markerfacecolor("none")
    if texts:
        axes.set_xticks(range(len(names)), [shortened(name, 14) for name in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
    elif log:
        axes.set_xscale("log")
    else:
        axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel(shortened(key, 34))
    axes.grid()
    axes.margins(0.12)
