"""The curve of an online stream: scores against the images that have arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from cliqa.evaluation.anytime import anytime_points, anytime_scores
from cliqa.evaluation.records.results import Results, column_labels, main_measure
from cliqa.evaluation.records.tables import LABELS
from cliqa.visualization.style import FAINT, INK, PAGE, color, new_figure, shortened, styled


@styled
def draw_anytime(rows: Sequence[Mapping[str, Any]], results: Results) -> Figure:
    """Draw the score on every data set, and the mean over what was seen so far, as images arrive.

    Vertical lines part the experiences. The area under the mean is the summary's ``aaa``.

    Args:
        rows: Those of ``metrics.jsonl`` of a run that was evaluated within its experiences.
        results: The run's results.
    """
    measure = main_measure(results)
    points = anytime_scores(rows, measure)
    images = [point.images for point in points]
    figure = new_figure(PAGE, 2.8)
    axes = figure.add_subplot()
    labels = zip(results["datasets"], column_labels(results), strict=True)
    for index, (name, label) in enumerate(labels):
        values = np.array([point.scores.get(name) for point in points], dtype=float)
        axes.plot(images, values, color=color(index), linewidth=1, label=shortened(label, 24))
    mean = [value for _, value in anytime_points(rows, results["experiences"], measure)]
    axes.plot(images, np.array(mean, dtype=float), color=INK, linewidth=2, label="mean of the seen")
    for before, after in zip(points, points[1:], strict=False):
        if after.step > before.step:
            axes.axvline(before.images, color=FAINT, linewidth=0.8, zorder=0)
    axes.set_xlabel("images that have arrived")
    axes.set_ylabel(LABELS.get(measure, measure))
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=4)
    return figure
