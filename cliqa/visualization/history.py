"""How training went, epoch by epoch: the loss, and the scores in training and validation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cliqa.evaluation.records.tables import LABELS
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import (
    FAINT,
    INK,
    MUTED,
    PAGE,
    color,
    new_figure,
    shortened,
    styled,
)

Rows = Sequence[Mapping[str, Any]]

LINES = {"train": ":", "val": "-"}
"""How the two kinds of a score are drawn, by the beginning of their keys."""


def load_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a ``metrics.jsonl``, none where a work_dir has no such file.

    Args:
        path: The file, or the work_dir that holds it.

    Raises:
        ArtifactError: A line is no object of JSON.
    """
    path = Path(path)
    path = path / "metrics.jsonl" if path.suffix != ".jsonl" else path
    if not path.is_file():
        return []
    rows = []
    for index, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ArtifactError(f"{path}, line {index}: damaged ({error}).") from error
        if not isinstance(row, dict):
            raise ArtifactError(f"{path}, line {index}: expected an object, got {line[:40]}.")
        rows.append(row)
    return rows


@styled
def draw_history(rows: Rows) -> Figure:
    """Draw the training loss and the scores of every epoch, experience by experience.

    There is one panel a measure; a score of the training images is dotted, one of the validation
    images full.

    Args:
        rows: The rows of ``metrics.jsonl``; those of kind ``"epoch"`` are drawn. They have
            ``experience``, ``name``, ``loss``, and scores whose keys begin with ``train_`` and
            ``val_``.

    Raises:
        ArtifactError: There is no row of an epoch.
    """
    epochs = epochs_of(rows)
    measures = measures_of([epochs])
    figure = new_figure(PAGE, 2.1 + 1.5 * len(measures))
    panels = figure.subplots(1 + len(measures), 1, sharex=True, squeeze=False).ravel()
    _draw_epochs(panels[0], epochs, "loss", named=True)
    panels[0].set_ylabel("training loss")
    panels[0].set_ylim(bottom=0)
    for axes, (measure, kinds) in zip(panels[1:], measures.items(), strict=True):
        for kind in kinds:
            _draw_epochs(axes, epochs, f"{kind}_{measure}", line=LINES[kind])
        axes.set_ylabel(_label(measure, kinds))
        if len(kinds) > 1:
            axes.legend(handles=_kinds_legend(), loc="best", ncols=2)
    _number_epochs(panels[-1], len(epochs))
    return figure


@styled
def draw_histories(runs: Mapping[str, Rows]) -> Figure:
    """Draw the training of several runs over each other, one panel a measure.

    Args:
        runs: The rows of ``metrics.jsonl`` by the runs' names, in the order to show.

    Raises:
        ArtifactError: A run has no row of an epoch.
    """
    histories = {name: epochs_of(rows, f"{name}: ") for name, rows in runs.items()}
    measures = measures_of(list(histories.values()))
    figure = new_figure(PAGE, 2.4 + 1.5 * len(measures))
    panels = figure.subplots(1 + len(measures), 1, sharex=True, squeeze=False).ravel()
    for index, epochs in enumerate(histories.values()):
        _draw_line(panels[0], epochs, "loss", "-", color(index))
        for axes, (measure, kinds) in zip(panels[1:], measures.items(), strict=True):
            for kind in kinds:
                _draw_line(axes, epochs, f"{kind}_{measure}", LINES[kind], color(index))
    panels[0].set_ylabel("training loss")
    panels[0].set_ylim(bottom=0)
    for axes, (measure, kinds) in zip(panels[1:], measures.items(), strict=True):
        axes.set_ylabel(_label(measure, kinds))
    first, *others = map(_borders, histories.values())
    for axes in panels:
        axes.grid(axis="y")
        for border in first if all(other == first for other in others) else ():
            axes.axvline(border, color=FAINT, linewidth=0.8, zorder=0)
    handles = [
        Line2D([], [], color=color(k), label=shortened(name, 28)) for k, name in enumerate(runs)
    ]
    if any(len(kinds) > 1 for kinds in measures.values()):
        handles += _kinds_legend()
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4))
    _number_epochs(panels[-1], max(map(len, histories.values())))
    return figure


def epochs_of(rows: Rows, where: str = "") -> Rows:
    """Return the rows of epochs.

    Raises:
        ArtifactError: There is none.
    """
    epochs = [row for row in rows if row.get("kind") == "epoch"]
    if not epochs:
        raise ArtifactError(f"{where}metrics.jsonl holds no epoch: there is no history to draw.")
    return epochs


def measures_of(histories: Sequence[Rows]) -> dict[str, list[str]]:
    """Return the measures that any epoch has a value of, each with ``train``, ``val`` or both.

    >>> measures_of([[{"loss": 1.0, "val_srcc": 0.5, "train_srcc": 0.6, "val_plcc": None}]])
    {'srcc': ['train', 'val']}
    """
    found: dict[str, set[str]] = {}
    for row in (row for epochs in histories for row in epochs):
        for key, value in row.items():
            kind, _, measure = key.partition("_")
            if kind in LINES and measure and value is not None:
                found.setdefault(measure, set()).add(kind)
    return {measure: [kind for kind in LINES if kind in kinds] for measure, kinds in found.items()}


def _label(measure: str, kinds: Sequence[str]) -> str:
    """Return the name of a measure's axis."""
    name = LABELS.get(measure, measure)
    return (
        name
        if len(kinds) > 1
        else {"val": "validation", "train": "training"}[kinds[0]] + (f" {name}")
    )


def _kinds_legend() -> list[Line2D]:
    """Return what the two kinds of lines mean."""
    words = {"train": "training", "val": "validation"}
    return [
        Line2D([], [], color=MUTED, linestyle=line, label=words[kind])
        for kind, line in LINES.items()
    ]


def _number_epochs(axes: Axes, count: int) -> None:
    """Number the epochs below the lowest panel."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0.5, count + 0.5)


def _borders(epochs: Rows) -> list[float]:
    """Return where one experience ends and the next begins."""
    pairs = zip(epochs, epochs[1:], strict=False)
    return [index + 1.5 for index, (a, b) in enumerate(pairs) if a["experience"] != b["experience"]]


def _draw_line(axes: Axes, epochs: Rows, key: str, line: str, own: str) -> None:
    """Draw one number of every epoch that has it as one line."""
    values = np.array([row.get(key) for row in epochs], dtype=float)  # None -> NaN
    drawn = np.flatnonzero(np.isfinite(values))
    shape = "" if drawn.size > 40 else "o"
    axes.plot(drawn + 1, values[drawn], shape + line, color=own, markersize=2.8)


def _draw_epochs(axes: Axes, epochs: Rows, key: str, line: str = "-", named: bool = False) -> None:
    """Draw one number of every epoch, broken and separated between experiences."""
    order = list(dict.fromkeys(row["experience"] for row in epochs))
    values = np.array([row.get(key) for row in epochs], dtype=float)  # None -> NaN
    owners = np.array([order.index(row["experience"]) for row in epochs])
    for index in range(len(order)):
        places = np.flatnonzero(owners == index)
        drawn = places[np.isfinite(values[places])]  # not every epoch is validated
        shape = "" if drawn.size > 40 else "o"
        axes.plot(drawn + 1, values[drawn], shape + line, color=color(index), markersize=2.8)
        if index:
            axes.axvline(places[0] + 0.5, color=FAINT, linewidth=0.8)
        if named:
            name = shortened(str(epochs[places[0]]["name"]), max(4, int(96 / len(order))))
            axes.annotate(
                name,
                (places.mean() + 1, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 4),
                textcoords="offset points",
                ha="center",
                color=color(index),
                weight="bold",
                size=8 if len(order) < 8 else 6.5,
            )
    axes.grid(axis="y")
    axes.tick_params(colors=INK)
