"""Several runs, or several evaluated models, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.records.eval_results import DataSetScores
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.tables import LABELS, common_measure
from cliqa.evaluation.summary import mean_name
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import (
    INK,
    MUTED,
    PAGE,
    color,
    marker,
    new_figure,
    separate_columns,
    shortened,
    signed,
    slant_labels,
    styled,
    wrapped,
)

COMPARED = ("srcc", "plcc", "accuracy")
"""Measures that a comparison has a panel of, where any model has them."""


@styled
def draw_comparison(runs: Mapping[str, Results]) -> Figure:
    """Draw the final scores of several runs with 95 % intervals, and their forgetting.

    With one data set there is nothing to forget, and no panel for it.

    Raises:
        EvaluationError: There is no run, or the runs have different measures.
    """
    measure = common_measure(runs)
    datasets = list(dict.fromkeys(name for run in runs.values() for name in run["datasets"]))
    mean = mean_name(measure)
    names = [shortened(name, 28) for name in runs]
    across = min(len(names), 4)
    figure = new_figure(PAGE, 2.6 + 0.18 * -(-len(names) // across) + 0.1 * max(0, len(names) - 4))
    forgetting = [run["summary"].get("forgetting") for run in runs.values()]
    widths = [min(2.0 + 0.5 * len(datasets), 4.5), *([1.6] if len(datasets) > 1 else [])]
    left, *right = figure.subplots(1, len(widths), width_ratios=widths, squeeze=False)[0]
    for index, run in enumerate(runs.values()):
        _draw_run(left, run, measure, datasets, mean, index, len(names))
    heads = [*datasets, LABELS.get(mean, "mean")]
    crowded = len(heads) > 5 and max(map(len, heads)) > 8
    left.set_xticks(
        range(len(heads)), [shortened(h, 16) if crowded else wrapped(h, 12) for h in heads]
    )
    if crowded:
        slant_labels(left)
    left.get_xticklabels()[-1].set_weight("bold")
    left.axvspan(len(heads) - 1.5, len(heads) - 0.5, color="#F3F3F3", zorder=0, linewidth=0)
    separate_columns(left, len(heads))
    left.set_ylabel(f"final {LABELS.get(measure, measure)}")
    for axes in right:  # none where one data set is learnt
        _draw_forgetting(axes, forgetting, names)
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
    reach = [*map(band.get, datasets), None]
    places = _draw_points(axes, values, reach, index, (index - (count - 1) / 2) * 0.72 / count)
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
        shade = MUTED if value is None else INK
        axes.text(beyond, index, signed(value), va="center", size=7, color=shade)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.set_yticks(range(len(names)), ["" for _ in names])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.invert_yaxis()
    axes.set_xlim(min(0.0, min(known)) * 1.15, 1.35 * reach)
    axes.set_xlabel("forgetting")


@styled
def draw_evaluations(evaluations: Mapping[str, Mapping[str, DataSetScores]]) -> Figure:
    """Draw the measures of several models with their 95 % intervals, one panel a measure.

    Raises:
        ArtifactError: They share no measure that can be drawn.
    """
    every = [data.metrics for evaluation in evaluations.values() for data in evaluation.values()]
    measures = [name for name in COMPARED if any(m.get(name) is not None for m in every)]
    if not measures:
        raise ArtifactError(f"the evaluations have none of {', '.join(COMPARED)}.")
    datasets = list(dict.fromkeys(name for e in evaluations.values() for name in e))
    across = min(len(evaluations), 4)
    figure = new_figure(PAGE, 0.6 + 1.9 * len(measures) + 0.18 * -(-len(evaluations) // across))
    panels = figure.subplots(len(measures), 1, sharex=True, squeeze=False).ravel()
    for axes, measure in zip(panels, measures, strict=True):
        for index, evaluation in enumerate(evaluations.values()):
            _draw_model(axes, evaluation, measure, datasets, index, len(evaluations))
        axes.set_ylabel(LABELS.get(measure, measure))
        separate_columns(axes, len(datasets))
    panels[-1].set_xticks(range(len(datasets)), [_with_size(d, evaluations) for d in datasets])
    handles, _ = panels[0].get_legend_handles_labels()
    names = [shortened(name, 28) for name in evaluations]
    figure.legend(handles, names, loc="outside upper center", ncols=across)
    return figure


def _draw_model(
    axes: Axes,
    evaluation: Mapping[str, DataSetScores],
    measure: str,
    datasets: Sequence[str],
    index: int,
    count: int,
) -> None:
    """Draw one model's measure on every data set, moved aside by its number among `count`."""
    found = [evaluation.get(name) for name in datasets]
    values = np.array([None if one is None else one.metrics.get(measure) for one in found], float)
    bands = [None if one is None else one.intervals.get(measure) for one in found]
    aside = (index - (count - 1) / 2) * min(0.72 / count, 0.16)
    _draw_points(axes, values, bands, index, aside)


def _draw_points(
    axes: Axes,
    values: np.ndarray,
    bands: Sequence[Sequence[float] | None],
    index: int,
    aside: float,
) -> np.ndarray:
    """Draw values (N,) with their intervals, all moved aside; return their places on the x axis."""
    nothing = (np.nan, np.nan)
    ends = np.array([band or nothing for band in bands], dtype=float).T  # (2, N)
    style: dict[str, Any] = {"color": color(index), "marker": marker(index), "linestyle": "none"}
    places: np.ndarray = np.arange(values.size) + aside
    distance = np.nan_to_num(np.abs(ends - values))
    axes.errorbar(places, values, distance, capsize=0, elinewidth=1.1, label=str(index), **style)
    return places


def _with_size(name: str, evaluations: Mapping[str, Mapping[str, DataSetScores]]) -> str:
    """Return a data set's name with its number of images, where all models saw as many."""
    metrics = [e[name].metrics for e in evaluations.values() if name in e]
    sizes = {m.get("n", m.get("num_samples")) for m in metrics}
    size = sizes.pop() if len(sizes) == 1 else None
    return wrapped(name, 14) + (f"\nn = {size}" if size is not None else "")
