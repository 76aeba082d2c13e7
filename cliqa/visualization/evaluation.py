"""Evaluations of models on chosen data sets: one in detail, several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.classification import confusion_matrix
from cliqa.evaluation.records.eval_results import Evaluated
from cliqa.evaluation.records.tables import LABELS
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.confusion import draw_counts
from cliqa.visualization.scatter import draw_scatter
from cliqa.visualization.style import (
    FAINT,
    PAGE,
    color,
    marker,
    new_figure,
    shortened,
    styled,
    wrapped,
)

Evaluation = Mapping[str, Evaluated]
"""What a model scores, by data set."""

COMPARED = ("srcc", "plcc", "accuracy")
"""Measures that a comparison has a panel of, where any model has them."""


def draw_evaluation(evaluation: Evaluation, label: str = "") -> Figure:
    """Draw one model's predictions: a scatter plot of scores, or a confusion matrix of classes.

    Args:
        evaluation: Content of an ``eval_results.json``.
        label: Which model it is, for the axis or the title.

    Raises:
        ArtifactError: Single predictions are missing, or scores and classes are mixed.
    """
    kinds = {data.of_classes for data in evaluation.values()}
    if len(kinds) > 1:
        raise ArtifactError("one evaluation has scores and classes: nothing shows both.")
    if kinds == {True}:
        return _confusion(evaluation, label)
    intervals = {name: data.intervals for name, data in evaluation.items()}
    scores = {name: data.scores() for name, data in evaluation.items()}
    return draw_scatter(scores, f"of {label}" if label else "", intervals)


def _confusion(evaluation: Evaluation, label: str) -> Figure:
    """Draw the classes of all experiences in one matrix."""
    pairs = [pair for data in evaluation.values() for pair in zip(*data.classes(), strict=True)]
    known = [(true, said) for true, said in pairs if said is not None]
    if not known:
        raise ArtifactError("the evaluation predicts no class: the training has diverged.")
    classes = sorted({name for pair in known for name in pair})
    numbers = {name: index for index, name in enumerate(classes)}
    said = np.array([numbers[said] for _, said in known])
    true = np.array([numbers[true] for true, _ in known])
    return draw_counts(confusion_matrix(said, true, len(classes)), classes, label or "evaluation")


@styled
def draw_evaluations(evaluations: Mapping[str, Evaluation]) -> Figure:
    """Draw the measures of several models with their 95 % intervals, one panel a measure.

    Args:
        evaluations: Contents of ``eval_results.json`` by the models' names, in the order to show.

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
        _finish_panel(axes, measure, len(datasets))
    panels[-1].set_xticks(range(len(datasets)), [_with_size(d, evaluations) for d in datasets])
    handles, _ = panels[0].get_legend_handles_labels()
    names = [shortened(name, 28) for name in evaluations]
    figure.legend(handles, names, loc="outside upper center", ncols=across)
    return figure


def _draw_model(
    axes: Axes,
    evaluation: Evaluation,
    measure: str,
    datasets: Sequence[str],
    index: int,
    count: int,
) -> None:
    """Draw one model's measure on every data set, moved aside by its number among `count`."""
    nothing = (np.nan, np.nan)
    values, bands = [], []
    for name in datasets:
        data = evaluation.get(name)
        values.append(None if data is None else data.metrics.get(measure))
        bands.append((data and data.intervals.get(measure)) or nothing)
    middle = np.array(values, dtype=float)  # None -> NaN
    distance = np.nan_to_num(np.abs(np.array(bands, dtype=float).T - middle))  # (2, K)
    aside = (index - (count - 1) / 2) * min(0.72 / count, 0.16)
    style: dict[str, Any] = {"color": color(index), "marker": marker(index), "linestyle": "none"}
    axes.errorbar(
        np.arange(len(datasets)) + aside,
        middle,
        distance,
        elinewidth=1.1,
        label=str(index),
        **style,
    )


def _finish_panel(axes: Axes, measure: str, columns: int) -> None:
    """Name a panel's measure and separate its data sets."""
    axes.set_ylabel(LABELS.get(measure, measure))
    axes.set_xlim(-0.5, columns - 0.5)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    for place in range(1, columns):
        axes.axvline(place - 0.5, color=FAINT, linewidth=0.6, zorder=0)


def _with_size(name: str, evaluations: Mapping[str, Evaluation]) -> str:
    """Return a data set's name with its number of images, where all models saw as many."""
    metrics = [e[name].metrics for e in evaluations.values() if name in e]
    sizes = {m.get("n", m.get("num_samples")) for m in metrics}
    size = sizes.pop() if len(sizes) == 1 else None
    return wrapped(name, 14) + (f"\nn = {size}" if size is not None else "")
