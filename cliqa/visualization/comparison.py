"""Several runs side by side: what each knows at its end, and what it has forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.tables import LABELS, common_measure, number
from cliqa.evaluation.summary import mean_name
from cliqa.visualization.style import (
    FAINT,
    INK,
    MUTED,
    PAGE,
    color,
    marker,
    new_figure,
    shortened,
    styled,
    wrapped,
)


@styled
def draw_comparison(runs: Mapping[str, Results]) -> Figure:
    """Draw the final scores of several runs with 95 % intervals, and their forgetting.

    Args:
        runs: Content of ``results.json`` by the runs' names, in the order to show.

    Raises:
        EvaluationError: There is no run, or the runs have different measures.
    """
    measure = common_measure(runs)
    datasets = list(dict.fromkeys(name for run in runs.values() for name in run["datasets"]))
    mean = mean_name(measure)
    names = [shortened(name, 28) for name in runs]
    across = min(len(names), 4)
    figure = new_figure(PAGE, 2.6 + 0.18 * -(-len(names) // across) + 0.1 * max(0, len(names) - 4))
    left, right = figure.subplots(1, 2, width_ratios=[min(2.0 + 0.5 * len(datasets), 4.5), 1.6])
    for index, run in enumerate(runs.values()):
        _draw_run(left, run, measure, datasets, mean, index, len(names))
    heads = [*datasets, LABELS.get(mean, "mean")]
    crowded = len(heads) > 5 and max(map(len, heads)) > 8
    left.set_xticks(
        range(len(heads)), [shortened(h, 16) if crowded else wrapped(h, 12) for h in heads]
    )
    if crowded:
        for text in left.get_xticklabels():
            text.set(rotation=40, ha="right", rotation_mode="anchor")
    left.get_xticklabels()[-1].set_weight("bold")
    left.set_xlim(-0.5, len(heads) - 0.5)
    left.axvspan(len(heads) - 1.5, len(heads) - 0.5, color="#F3F3F3", zorder=0, linewidth=0)
    for place in range(1, len(heads)):
        left.axvline(place - 0.5, color=FAINT, linewidth=0.6, zorder=0)
    left.tick_params(axis="x", length=0)
    left.set_ylabel(f"final {LABELS.get(measure, measure)}")
    left.grid(axis="y")
    _draw_forgetting(right, [run["summary"].get("forgetting") for run in runs.values()], names)
    handles, _ = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=across)
    return figure


def _draw_run(
    axes: Axes,
    run: Results,
    measure: str,
    datasets: Sequence[str],
    mean: str,
    index: int,
    count: int,
) -> None:
    """Draw one run's final scores, moved aside by its number among `count` runs."""
    last = dict(zip(run["datasets"], run["matrix"][measure][-1], strict=True))
    bands = run["interval"].get(measure)
    band = dict(zip(run["datasets"], bands[-1], strict=True)) if bands else {}
    values = np.array([*map(last.get, datasets), run["summary"].get(mean)], dtype=float)
    nothing = (np.nan, np.nan)
    reach = np.array([*(band.get(name) or nothing for name in datasets), nothing], dtype=float).T
    aside = (index - (count - 1) / 2) * 0.72 / count
    places = np.arange(values.size) + aside
    style: dict[str, Any] = {"color": color(index), "marker": marker(index), "linestyle": "none"}
    distance = np.nan_to_num(np.abs(reach - values))
    axes.errorbar(places, values, distance, capsize=0, elinewidth=1.1, label=str(index), **style)
    for k in map(int, np.flatnonzero(np.isnan(values))):
        if k < len(datasets) and datasets[k] not in last:
            continue  # another stream
        axes.text(
            places[k],
            0.02,
            "n/a",
            transform=axes.get_xaxis_transform(),
            ha="center",
            rotation=90,
            size=5.5,
            color=color(index),
        )


def _draw_forgetting(axes: Axes, values: Sequence[float | None], names: Sequence[str]) -> None:
    """Draw the forgetting of every run as a bar with its value."""
    known = [0.0 if value is None else value for value in values]
    reach = max(max(map(abs, known)), 0.05)
    for index, (value, length) in enumerate(zip(values, known, strict=True)):
        axes.barh(index, length, height=0.62, color=color(index))
        beyond = max(length, 0.0) + 0.04 * reach
        label = number(value).replace("-", "\N{MINUS SIGN}")
        axes.text(beyond, index, label, va="center", size=7, color=MUTED if value is None else INK)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(names)), ["" for _ in names])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.invert_yaxis()
    axes.set_xlim(min(0.0, min(known)) * 1.15, 1.35 * reach)
    axes.set_xlabel("forgetting")
