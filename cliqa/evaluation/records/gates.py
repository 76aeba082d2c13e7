"""What gates did: the part ``gate`` of ``results.json``, its table, and warnings.

A row is what `cliqa.training.views.trace.GateTrace.row` returns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.evaluation.records.table_styles import NOT_DEFINED, Table

Row = Mapping[str, Any]
Grid = list[list[float | None]]
Section = dict[str, Grid]

COLUMNS = ("own_weight", "own_first", "equal", "oracle", "largest")
"""The numbers of a row that are kept for every experience and data set."""

FLAT = 0.05
"""An own view's mean weight this little above equal weights is as good as none."""


def gate_section(cells: Mapping[tuple[int, str], Row], datasets: Sequence[str]) -> Section:
    """Return a matrix of each number, T x K as those of the measures; empty without a gate.

    Args:
        cells: Rows of evaluations by experience and data set; some have a row ``gate``.
        datasets: The names of the K data sets.
    """
    if not any("gate" in cell for cell in cells.values()):
        return {}
    count = 1 + max(t for t, _ in cells)
    return {
        name: [
            [(cells.get((t, k), {}).get("gate") or {}).get(name) for k in datasets]
            for t in range(count)
        ]
        for name in COLUMNS
    }


def gate_warnings(cells: Mapping[tuple[int, str], Row]) -> list[str]:
    """Return what a reader must know of the last experience's gate: whether it gates at all."""
    last = max((t for t, _ in cells), default=0)
    rows = [cell["gate"] for (t, _), cell in cells.items() if t == last and "gate" in cell]
    verdict = chance(rows)
    return [f"gate: {verdict}"] if verdict else []


def chance(rows: Sequence[Row]) -> str:
    """Return why a gate is no better than chance over the learnt data sets, empty if it is.

    >>> chance([{"views": 2, "images": 100, "own_first": 0.52, "own_weight": 0.5}])[:46]
    "an image's own view comes first in 0.52 of the"
    >>> chance([{"views": 2, "images": 100, "own_first": 0.9, "own_weight": 0.8}])
    ''
    """
    known = [row for row in rows if row["own_first"] is not None]
    if not known:
        return ""
    equal = 1 / known[0]["views"]
    first = sum(row["own_first"] for row in known) / len(known)
    weight = sum(row["own_weight"] for row in known) / len(known)
    error = math.sqrt(equal * (1 - equal) * sum(1 / row["images"] for row in known)) / len(known)
    advice = (
        "The data sets look alike to it, or its network: try pretrained weights, other levels or "
        "statistics (gate=dict(name='lda', ...))."
    )
    if first < equal + 2 * error:
        return (
            f"an image's own view comes first in {first:.2f} of the images, no better than chance "
            f"({equal:.2f}). {advice}"
        )
    if weight < equal + FLAT:
        return (
            f"its weights are nearly equal: an image's own view has {weight:.2f} of the weight, "
            f"{equal:.2f} is equal. {advice}"
        )
    return ""


def gate_table(section: Mapping[str, Grid], datasets: Sequence[str], scores: Grid) -> Table:
    """Return the last experience's numbers, a line for each data set.

    Args:
        section: See `gate_section`.
        datasets: The names of the data sets.
        scores: The main measure of the run, T x K.
    """
    last = {name: grid[-1] for name, grid in section.items()}
    rows = tuple(
        (
            name,
            *(
                _cell(value)
                for value in (
                    scores[-1][k],
                    last["equal"][k],
                    last["oracle"][k],
                    last["own_weight"][k],
                    last["own_first"][k],
                )
            ),
        )
        for k, name in enumerate(datasets)
    )
    header = ("", "gate", "equal weights", "own view (oracle)", "weight of own", "own first")
    return Table("Gate, after the last experience", header, rows)


def gate_notes(rows: Mapping[str, Row]) -> list[str]:
    """Return a line for each data set's row, and what is wrong with all of them."""
    lines = []
    for name, row in rows.items():
        if row["own_weight"] is None:
            text = "not learnt, so that no view is its own; "
        else:
            text = f"the own view has {row['own_weight']:.2f} of the weight, "
            text += f"and the largest in {row['own_first']:.2f} of the images; it alone gives "
            text += f"{_cell(row['oracle'])}, "
        lines.append(f"{name}: gate: {text}equal weights give {_cell(row['equal'])}")
    verdict = chance(list(rows.values()))
    return [*lines, f"gate: {verdict}"] if verdict else lines


def _cell(value: float | None) -> str:
    """Return a number as tables show it."""
    return NOT_DEFINED if value is None else f"{value:.3f}"
