"""Plasticity against stability: what a method gives up of one for the other."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.records.results import Results, load_results, main_measure
from cliqa.utils.errors import ArtifactError, ConfigError
from cliqa.visualization.style import INK, PAGE, color, marker, new_figure, shortened, styled

VALUED = re.compile(
    r"(?P<name>.+)[_= ](?P<value>[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?)", re.IGNORECASE
)
"""A run's name that ends in the value of what is varied: ``photos_ewc_0.1``, ``EWC=0.1``."""

REPLICATE = re.compile(r"(seed|split|fold)_\d+")
"""The folder of one run among several of a kind."""


@dataclass(frozen=True)
class Point:
    """The mean of the runs of one setting.

    Attributes:
        name: The method's.
        value: Of its varied setting; None where there is none.
        stability: 0..1.
        plasticity: The mean measure right after learning.
        runs: How many.
    """

    name: str
    value: float | None
    stability: float
    plasticity: float
    runs: int


def name_of(path: Path) -> str:
    """Return what a run is called: its folder, or that of all its seeds.

    >>> name_of(Path("study/photos_ewc_0.1/seed_0")), name_of(Path("work_dirs/demo"))
    ('photos_ewc_0.1', 'demo')
    """
    path = path.parent if path.suffix == ".json" else path
    return path.parent.name if REPLICATE.fullmatch(path.name) else path.name


def points_of(runs: Sequence[tuple[str, Results]]) -> list[Point]:
    """Return a point for each name, the mean over its runs, by method and value.

    Args:
        runs: Names and results; runs of one name are seeds of one setting.

    Raises:
        ArtifactError: The runs measure different things, or none has both numbers, as joint
            training and runs of a single data set have none.
    """
    measures = {main_measure(results) for _, results in runs}
    if len(measures) > 1:
        raise ArtifactError(
            f"the runs measure {' and '.join(sorted(measures))}: no figure compares them."
        )
    found: dict[str, list[tuple[float, float]]] = {}
    for name, results in runs:
        pair = _both(results, *measures)
        if pair is not None:
            found.setdefault(name, []).append(pair)
    if not found:
        raise ArtifactError(
            "no run has a plasticity and a stability: give runs that learnt two data sets or more, "
            "one after the other."
        )
    points = []
    for name, pairs in found.items():
        match = VALUED.fullmatch(name)
        value = float(match["value"]) if match else None
        x, y = (statistics.fmean(values) for values in zip(*pairs, strict=True))
        points.append(Point(match["name"] if match else name, value, x, y, len(pairs)))
    return sorted(points, key=lambda p: (p.value is not None, p.value or 0.0))


def _both(results: Results, measure: str) -> tuple[float, float] | None:
    """Return a run's stability and plasticity, None where one is not defined."""
    summary = results["summary"]
    if measure == "srcc":
        stability, plasticity = summary.get("msi"), summary.get("mpi")
    else:
        forgotten, plasticity = summary.get("forgetting"), summary.get(f"learning_{measure}")
        stability = None if forgotten is None else 1 - forgotten
    return None if stability is None or plasticity is None else (stability, plasticity)


@styled
def draw_tradeoff(points: Sequence[Point], measure: str = "srcc") -> Figure:
    """Draw a line for each method over its values, and single points of those without any.

    Args:
        points: See `points_of`.
        measure: ``"srcc"``, or that of classes.
    """
    names = list(dict.fromkeys(point.name for point in points))
    figure = new_figure(PAGE * 0.72, 3.4 + 0.18 * -(-len(names) // 4))
    axes = figure.subplots()
    for index, name in enumerate(names):
        _draw(axes, [point for point in points if point.name == name], index)
    of_scores = measure == "srcc"
    axes.set_xlabel(
        "stability (mean SRCC with each data set's first model)"
        if of_scores
        else f"stability (1 - forgetting of {measure})"
    )
    axes.set_ylabel(f"plasticity (mean {'SRCC' if of_scores else measure} right after learning)")
    axes.grid()
    axes.margins(0.12)
    figure.legend(loc="outside upper center", ncols=min(4, len(names)))
    return figure


def _draw(axes: Axes, points: Sequence[Point], index: int) -> None:
    """Draw one method; its values stand beside the points."""
    alone = len(points) == 1
    axes.plot(
        [point.stability for point in points],
        [point.plasticity for point in points],
        linestyle="none" if alone else "-",
        linewidth=1.0,
        marker=marker(index),
        markersize=6 if alone else 4.5,
        color=INK if alone and points[0].value is None else color(index),
        label=shortened(points[0].name, 24),
    )
    for point in points:
        if point.value is not None:
            axes.annotate(
                f"{point.value:.3g}",
                (point.stability, point.plasticity),
                (3, 4),
                textcoords="offset points",
                fontsize=6.5,
                color=color(index),
            )


def named_runs(paths: Sequence[Path], labels: Sequence[str]) -> list[tuple[str, Results]]:
    """Return the results of runs with their names; several may share one.

    Args:
        paths: Work_dirs, or their ``results.json``.
        labels: A name for each, ``EWC=0.1`` for one with a value; none for the folders' own.

    Raises:
        ConfigError: There are more or fewer labels than paths.
        ArtifactError: A file is missing or damaged.
    """
    if labels and len(labels) != len(paths):
        raise ConfigError(
            f"--labels: {len(labels)} for {len(paths)} runs. Give each one, such as EWC=0.1; seeds "
            "of one setting share theirs."
        )
    names = list(labels) or [name_of(path) for path in paths]
    return [(name, load_results(path)) for name, path in zip(names, paths, strict=True)]
