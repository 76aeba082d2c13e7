"""The comparison of methods and of their exported files: what each costs and what it reaches.

A run's numbers are plain values; means and Student's 95 % intervals are taken over the seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.evaluation import matrix
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.study import estimate
from cliqa.evaluation.records.study_tables import mean_cell
from cliqa.evaluation.records.table_styles import NOT_DEFINED, Style, Table, render, render_notes
from cliqa.evaluation.records.tables import exact
from cliqa.utils.errors import EvaluationError

Phases = dict[str, Any]
"""The content of ``four_phases.json``: plain values alone; see `build_phases`."""

Values = Mapping[str, float | None]
"""A run's numbers by the names of `HEADS`."""

HEADS = {
    "accuracy": "accuracy",
    "accuracy_task_il": "task-IL",
    "forgetting": "forgetting",
    "trainable": "trainable parameters",
    "mib": "file MiB",
    "fps_1": "FPS, batch 1",
    "fps_32": "FPS, batch 32",
    "train_cpu_s": "training CPU s",
    "train_s": "training wall s",
}
"""The columns, and what a table for people calls them."""

DIGITS = {"mib": 3, "train_s": 1, "train_cpu_s": 1, "fps_1": 0, "fps_32": 0, "trainable": 0}
"""Decimals of a column; others have three."""

PAIRED = ("accuracy", "accuracy_task_il", "forgetting")
"""Columns that are compared by seed."""

BATCHES = (1, 32)
"""Images of a pass, of the two speeds."""


def quality_of_file(
    results: Results, scores: Mapping[str, Mapping[str, float | None]]
) -> dict[str, float | None]:
    """Return what an exported file has learnt and forgotten.

    The file is that of the model after the last experience. Forgetting compares it with the best
    that the run itself, in float, reached before: ``mean_{k<T-1} (max_{t<T-1} R[t, k] - F[k])``
    with the run's matrix R and the file's scores F, so that what rounding costs counts too.

    Args:
        results: Of the run.
        scores: Of the file: by measure, then by data set; ``accuracy`` among them.

    Returns:
        ``accuracy``, ``accuracy_task_il`` and ``forgetting``; None where one is not defined.

    Raises:
        EvaluationError: The file was not evaluated on the run's data sets.
    """
    names = results["datasets"]
    missing = [name for name in names if name not in scores["accuracy"]]
    if missing:
        raise EvaluationError(f"the file's scores lack {', '.join(missing)}.")
    own = [scores["accuracy"][name] for name in names]
    rows = [*results["matrix"]["accuracy"][:-1], own]
    task_il = [scores.get("accuracy_task_il", {}).get(name) for name in names]
    return {
        "accuracy": matrix.final_mean([own], len(names)).value,
        "accuracy_task_il": matrix.final_mean([task_il], len(names)).value,
        "forgetting": matrix.forgetting(rows).value,
    }


def training_seconds(results: Results) -> dict[str, float | None]:
    """Return a run's training time: of the wall's clock, and of the CPU (None if not counted)."""
    seconds = results["seconds"]
    cpu = seconds.get("train_cpu")
    return {"train_s": sum(seconds["train"]), "train_cpu_s": sum(cpu) if cpu else None}


def trained_parameters(results: Results) -> float | None:
    """Return how many parameters a run trained in its last experience, None if not counted."""
    counted = results["parameters"].get("trained")
    return float(counted[-1]) if counted else None


def build_phases(
    runs: Mapping[str, Mapping[str, Values]],
    *,
    labels: Mapping[str, str],
    replicates: Sequence[str],
    base: str,
    about: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Phases:
    """Return means and intervals of every arm.

    Args:
        runs: Numbers by arm and by replicate, of what has finished; in the order to show.
        labels: What tables call an arm.
        replicates: All that were asked for.
        base: The arm that others are compared with.
        about: How it was measured, kept as it is.
        notes: Remarks below the table.

    Returns:
        ``about``, ``replicates``, ``base``, ``rows``, ``differences`` and ``notes``. A row has
        ``arm``, ``label``, ``runs`` and ``columns``: by name ``values`` (by replicate), ``mean``,
        ``low`` and ``high``. ``differences`` are such rows of an arm minus the base within every
        replicate that both have, in the columns of `PAIRED`.

    Raises:
        EvaluationError: Nothing has finished.
    """
    if not any(runs.values()):
        raise EvaluationError("no run of the study has finished, so there is nothing to summarise.")
    rows, differences, remarks = [], [], list(notes)
    for arm, own in runs.items():
        columns = {name: estimate({key: one[name] for key, one in own.items()}) for name in HEADS}
        row = {"arm": arm, "label": labels[arm], "runs": len(own)}
        rows.append({**row, "columns": columns})
        absent = [key for key in replicates if key not in own]
        remarks += [f"{labels[arm]}: not finished: {', '.join(absent)}"] if absent else []
        pairs = {key: (one, runs[base][key]) for key, one in own.items() if key in runs[base]}
        if arm != base and pairs:
            paired = {name: estimate(_minus(pairs, name)) for name in PAIRED}
            differences.append({**row, "runs": len(pairs), "columns": paired})
    return {
        "about": dict(about),
        "replicates": list(replicates),
        "base": base,
        "rows": rows,
        "differences": differences,
        "notes": remarks,
    }


def _minus(pairs: Mapping[str, tuple[Values, Values]], name: str) -> dict[str, float | None]:
    """Return one column of arms minus that of the base, by replicate."""
    ends = {key: (own[name], base[name]) for key, (own, base) in pairs.items()}
    return {k: None if a is None or b is None else a - b for k, (a, b) in ends.items()}


def phases_table(phases: Phases) -> Table:
    """Return a row an arm with ``mean ± reach``, the half of the 95 % interval's length."""
    lines = [
        (
            row["label"],
            str(row["runs"]),
            *(_cell(row["columns"][name], DIGITS.get(name, 3)) for name in HEADS),
        )
        for row in phases["rows"]
    ]
    title = "Four phases: exported files after the last experience, mean ± 95 % interval"
    return Table(title, ("", "runs", *HEADS.values()), tuple(lines))


def difference_table(phases: Phases) -> Table | None:
    """Return a row an arm with its differences to the base, paired by seed; None for no pairs."""
    rows = [row for row in phases["differences"] if row["runs"] > 1]
    if not rows:
        return None
    base = next(row["label"] for row in phases["rows"] if row["arm"] == phases["base"])
    lines = [(row["label"], *(_signed(row["columns"][name]) for name in PAIRED)) for row in rows]
    title = f"Difference to {base}, paired by seed, mean ± 95 % interval"
    return Table(title, ("", *(HEADS[name] for name in PAIRED)), tuple(lines))


def _cell(column: Mapping[str, Any], digits: int) -> str:
    """Return a mean with its reach; what is the same in all runs has none.

    >>> _cell({"values": {"a": 33482, "b": 33482}, "mean": 33482.0, "high": 33482.0}, 0)
    '33,482'
    >>> _cell({"values": {"a": 2000, "b": 1000}, "mean": 1500.0, "high": 7853.1}, 0)
    '1,500 ±6,353'
    """
    values = list(column["values"].values())
    if digits:
        return mean_cell(column, digits)
    if column["mean"] is None:
        return NOT_DEFINED
    shown = f"{column['mean']:,.0f}"
    if len(set(values)) == 1 and len(values) > 1:
        return shown
    if column["high"] is None:
        return f"{shown} ±{NOT_DEFINED}"
    return f"{shown} ±{column['high'] - column['mean']:,.0f}"


def _signed(column: Mapping[str, Any]) -> str:
    """Return a difference's cell, with its sign."""
    cell = mean_cell(column)
    return f"+{cell}" if (column["mean"] or 0) > 0 else cell


def phases_report(phases: Phases, style: Style = "text") -> str:
    """Return the comparison for people, in a style of `render`, or for machines (``"csv"``).

    ``"csv"`` has all digits, and the ends of intervals in columns of their own.
    """
    if style == "csv":
        return render(_exact_table(phases), style)
    found = (phases_table(phases), difference_table(phases))
    shown = "\n".join(render(table, style) for table in found if table)
    return f"{shown}\n{render_notes(phases['notes'], style)}"


def _exact_table(phases: Phases) -> Table:
    """Return a row an arm with every mean and the ends of its interval."""
    parts = {"": "mean", "_low": "low", "_high": "high"}
    header = ("arm", "runs", *(f"{name}{end}" for name in HEADS for end in parts))
    rows = [
        (
            row["arm"],
            str(row["runs"]),
            *exact(*(row["columns"][name][part] for name in HEADS for part in parts.values())),
        )
        for row in phases["rows"]
    ]
    return Table("", header, tuple(rows))
