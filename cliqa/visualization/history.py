"""Training curves: the loss and the scores of every epoch."""

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
    marker,
    new_figure,
    shortened,
    styled,
)

Rows = Sequence[Mapping[str, Any]]

LINES = {"train": ":", "val": "-"}
"""How the two kinds of a score are drawn, by the beginning of their keys."""

EPOCH = {"experience": int, "epoch": int, "name": str}
"""What each row of an epoch has besides its values."""

WORDS = {"train": "training", "val": "validation"}


def load_metrics(path: str | Path) -> list[dict[str, Any]]:
    """Return the rows of a ``metrics.jsonl``, or of a work_dir's; none where it has no such file.

    A last line without an end is left out: a run writes it, or was killed as it did.

    Raises:
        ArtifactError: A line is no object of JSON, or no row of an epoch that can be drawn.
    """
    path = Path(path)
    path = path / "metrics.jsonl" if path.suffix != ".jsonl" else path
    if not path.is_file():
        return []
    rows = []
    whole, _, _ = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")
    for index, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{path}, line {index}: damaged ({error}).") from error
        if not isinstance(row, dict):
            raise ArtifactError(f"{path}, line {index}: expected an object, got {line[:40]}.")
        wrong = _wrong_key(row) if row.get("kind") == "epoch" else None
        if wrong is not None:
            raise ArtifactError(f"{path}, line {index}: damaged ('{wrong}' is missing or wrong).")
        rows.append(row)
    return rows


def _wrong_key(row: Mapping[str, Any]) -> str | None:
    """Return the first key of an epoch's row that has another type than a run writes."""
    for key, kind in EPOCH.items():
        if not isinstance(row.get(key), kind) or isinstance(row[key], bool):
            return key
    return next((key for key in row if _is_drawn(key) and not _is_number(row[key])), None)


def _is_drawn(key: str) -> bool:
    """Return whether the curves show what an epoch's row has under a key."""
    return key in ("loss", "lr") or key.startswith(tuple(f"{kind}_" for kind in LINES))


def _is_number(value: object) -> bool:
    """Return whether a value is a number, or None for one that is not defined."""
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


@styled
def draw_history(rows: Rows) -> Figure:
    """Draw the training loss and the scores of every epoch, experience by experience.

    There is one panel a measure; a score of the training images is dotted with hollow markers, one
    of the validation images full. Rows of kind ``"epoch"`` are drawn: they have ``experience``,
    ``name``, ``loss``, and scores whose keys begin with ``train_`` and ``val_``.

    Raises:
        ArtifactError: There is no row of an epoch.
    """
    epochs = epochs_of(rows)
    measures = measures_of([epochs])
    figure, panels = _panels(2.1, measures, len(epochs))
    _draw_epochs(panels[0], epochs, "loss", named=True)
    for axes, (measure, kinds) in zip(panels[1:], measures.items(), strict=True):
        for kind in kinds:
            _draw_epochs(axes, epochs, f"{kind}_{measure}", line=LINES[kind])
        if len(kinds) > 1:
            axes.legend(handles=_kinds_legend(), loc="best", ncols=2)
    return figure


@styled
def draw_histories(runs: Mapping[str, Rows]) -> Figure:
    """Draw the training of several runs over each other, one panel a measure.

    Raises:
        ArtifactError: A run has no row of an epoch.
    """
    histories = {name: epochs_of(rows, f"{name}: ") for name, rows in runs.items()}
    measures = measures_of(list(histories.values()))
    figure, panels = _panels(2.4, measures, max(map(len, histories.values())))
    for index, epochs in enumerate(histories.values()):
        _plot(panels[0], _values(epochs, "loss"), "-", color(index), marker(index))
        for axes, (measure, kinds) in zip(panels[1:], measures.items(), strict=True):
            for kind in kinds:
                values = _values(epochs, f"{kind}_{measure}")
                _plot(axes, values, LINES[kind], color(index), marker(index))
    first, *others = map(_borders, histories.values())
    for axes in panels:
        axes.grid(visible=True, axis="y")
        for border in first if all(other == first for other in others) else ():
            axes.axvline(border, color=FAINT, linewidth=0.8, zorder=0)
    handles = [
        Line2D([], [], color=color(k), marker=marker(k), markersize=3.5, label=shortened(name, 28))
        for k, name in enumerate(runs)
    ]
    if any(len(kinds) > 1 for kinds in measures.values()):
        handles += _kinds_legend()
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 4))
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


def _kinds_legend() -> list[Line2D]:
    """Return the legend of the two kinds of lines."""
    return [
        Line2D([], [], color=MUTED, linestyle=line, label=WORDS[kind], **_marks(line, MUTED))
        for kind, line in LINES.items()
    ]


def _marks(line: str, own: str, shape: str = "o") -> dict[str, Any]:
    """Return the look of a kind's markers: those of training are hollow, for single epochs."""
    inside = "white" if line == LINES["train"] else own
    return {"marker": shape, "markersize": 2.8, "markerfacecolor": inside}


def _panels(
    height: float, measures: Mapping[str, Sequence[str]], count: int
) -> tuple[Figure, np.ndarray]:
    """Return a figure with a panel of the loss and one a measure over so many epochs."""
    figure = new_figure(PAGE, height + 1.5 * len(measures))
    panels = figure.subplots(1 + len(measures), 1, sharex=True, squeeze=False).ravel()
    for axes in panels:
        axes.margins(y=0.1)  # the highest and the lowest marker are whole
    panels[0].set_ylabel("training loss")
    for axes, (measure, kinds) in zip(panels[1:], measures.items(), strict=True):
        name = LABELS.get(measure, measure)
        axes.set_ylabel(name if len(kinds) > 1 else f"{WORDS[kinds[0]]} {name}")
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[-1].set_xlim(0.5, count + 0.5)
    return figure, panels


def _borders(epochs: Rows) -> list[float]:
    """Return where one experience ends and the next begins."""
    pairs = zip(epochs, epochs[1:], strict=False)
    return [index + 1.5 for index, (a, b) in enumerate(pairs) if a["experience"] != b["experience"]]


def _values(epochs: Rows, key: str) -> np.ndarray:
    """Return one number of every epoch, NaN where it has none."""
    return np.array([row.get(key) for row in epochs], dtype=float)  # None -> NaN


def _plot(axes: Axes, values: np.ndarray, line: str, own: str, shape: str = "o") -> None:
    """Draw the values that are defined over the numbers of their epochs; at most 40 are marked."""
    drawn = np.flatnonzero(np.isfinite(values))  # not every epoch is validated
    axes.plot(
        drawn + 1,
        values[drawn],
        line,
        color=own,
        **_marks(line, own, shape),
        markevery=-(-max(drawn.size, 1) // 40),
    )


def _draw_epochs(axes: Axes, epochs: Rows, key: str, line: str = "-", named: bool = False) -> None:
    """Draw one number of every epoch, broken and separated between experiences."""
    order = list(dict.fromkeys(row["experience"] for row in epochs))
    values = _values(epochs, key)
    owners = np.array([order.index(row["experience"]) for row in epochs])
    for index in range(len(order)):
        places = np.flatnonzero(owners == index)
        _plot(axes, np.where(owners == index, values, np.nan), line, color(index))
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
    axes.grid(visible=True, axis="y")
    axes.tick_params(colors=INK)
