"""Studies as tables for people and for machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cliqa.evaluation.records.study import COSTS, SUFFIX_TASK_IL, LabelStudy, Study
from cliqa.evaluation.records.table_styles import NOT_DEFINED, Style, Table, render, render_notes
from cliqa.evaluation.records.tables import LABELS, exact, number, verdict

HEADS = {
    "gap_closed": "gap closed",
    "mpi": "plasticity",
    "learning_accuracy": "plasticity",
    "average_accuracy": "accuracy",
    "next_domain": "next domain",
    "forgetting_from_first": "from first",
    "train_time": "time",
    "peak_memory": "peak memory",
    "kept_memory": "kept memory",
}
"""How a table for people calls a column; others are written as they are called."""


def head_of(column: str) -> str:
    """Return a column's name for people.

    >>> head_of("gap_closed_task_il"), head_of("msrcc")
    ('gap closed, task-IL', 'mSRCC')
    """
    base = column.removesuffix(SUFFIX_TASK_IL)
    return HEADS.get(base, LABELS.get(base, base)) + (", task-IL" if base != column else "")


def study_table(study: Study) -> Table:
    """Return a row a config with ``mean ± reach``, the half of the 95 % interval's length.

    Over random splits it is the median with the ends of its interval, as the field reports it.
    """
    if study.get("splits"):
        measure = LABELS.get(study["measure"], study["measure"])
        title = f"Final {measure} over random splits, median [95 % interval]"
        return _table(title, "splits", study, study["rows"], _median_cell)
    title = f"Final {LABELS.get(study['measure'], study['measure'])}, mean ± 95 % interval"
    return _table(title, "runs", study, study["rows"], _cell)


def difference_table(study: Study) -> Table | None:
    """Return a row a config with its paired difference to the first one; None for no pairs."""
    rows = [row for row in study["differences"] if row["runs"] > 1]
    if not rows:
        return None
    first = shown_name(study, study["first"])
    title = f"Difference to {first}, paired, mean ± 95 % interval"
    return _table(title, "pairs", study, rows, _difference)


def deployed_table(study: Study) -> Table | None:
    """Return a row a config that was deployed: float32 in PyTorch, the file, and both compared."""
    rows = study.get("deployed")
    if not rows:
        return None
    digits = {"quality": 3, "lost": 4, "mib": 2, "ms": 2, "smaller": 2, "faster": 2}
    measure = LABELS.get(study["measure"], study["measure"])
    heads = [f"{measure}, float", "file", "lost", "MiB, float", "file", "smaller"]
    heads += ["CPU ms, float", "file", "faster"]
    lines = [
        (
            shown_name(study, row["config"]),
            str(row["runs"]),
            ", ".join(f"{key} ({count}x)" for key, count in row["recipes"].items()),
            *(
                mean_cell(column, digits[name.rpartition("_")[2]])
                for name, column in row["columns"].items()
            ),
        )
        for row in rows
    ]
    title = "Deployed file beside PyTorch in float32, test sets, mean ± 95 % interval"
    return Table(title, ("", "runs", "chosen", *heads), tuple(lines))


def shown_name(study: Mapping[str, Any], config: str) -> str:
    """Return how a study calls a config for people: its label, else its name."""
    return str(study.get("labels", {}).get(config, config))


def _table(
    title: str,
    count: str,
    study: Study,
    rows: Sequence[Mapping[str, Any]],
    cell: Callable[[Mapping[str, Any], str], str],
) -> Table:
    """Return a row a config with a cell for every column, written by `cell`."""
    columns = list(rows[0]["columns"])
    lines = [
        (
            shown_name(study, row["config"]),
            str(row["runs"]),
            *(cell(row["columns"][name], name) for name in columns),
        )
        for row in rows
    ]
    return Table(title, ("", count, *map(head_of, columns)), tuple(lines))


def _difference(column: Mapping[str, Any], _: str) -> str:
    """Return a difference's cell, with its sign."""
    cell = mean_cell(column)
    return f"+{cell}" if (column["mean"] or 0) > 0 else cell


def _cell(column: Mapping[str, Any], name: str) -> str:
    """Return a column's mean with the reach of its interval."""
    return mean_cell(column, 2 if name.startswith(("gap_closed", *COSTS)) else 3)


def _median_cell(column: Mapping[str, Any], name: str) -> str:
    """Return a column's median with its interval, if it has one.

    >>> _median_cell({"median": 0.5, "median_low": 0.25, "median_high": 0.75}, "msrcc")
    '0.500 [0.250, 0.750]'
    """
    digits = 2 if name.startswith(("gap_closed", *COSTS)) else 3
    median, low, high = (column[key] for key in ("median", "median_low", "median_high"))
    if low is None:
        return number(median, digits)
    return f"{number(median, digits)} [{number(low, digits)}, {number(high, digits)}]"


def mean_cell(column: Mapping[str, Any], digits: int = 3) -> str:
    """Return a mean with the reach of its interval; ``±n/a`` where there is one value alone.

    >>> mean_cell({"mean": 0.5, "high": 0.75}, 2), mean_cell({"mean": None, "high": None})
    ('0.50 ±0.25', 'n/a')
    """
    if column["mean"] is None:
        return NOT_DEFINED
    reach = None if column["high"] is None else column["high"] - column["mean"]
    return f"{number(column['mean'], digits)} ±{number(reach, digits)}"


def study_report(study: Study, style: Style = "text") -> str:
    """Return a study for people, in a style of `render`, or for machines (``"csv"``).

    ``"csv"`` has all digits, ends of intervals in columns of their own, empty cells where a number
    is not defined, and no notes.
    """
    if style == "csv":
        return render(_exact_table(study), style)
    found = (study_table(study), difference_table(study), deployed_table(study))
    shown = "\n".join(render(table, style) for table in found if table)
    return f"{shown}\n{render_notes((*_legend(study), *study['notes']), style)}"


def _legend(study: Study) -> list[str]:
    """Return explanations of the table's columns."""
    replicates = study["replicates"]
    legend = [
        f"{len(replicates)} replicate(s) of every config: {', '.join(replicates)}. "
        "± is Student's t over them; n/a for a single one"
    ]
    if study.get("splits"):
        legend = [
            f"{len(replicates)} random splits of the data, each with a seed of its own; the "
            "interval is that of the median by order statistics, from six splits on"
        ]
    if difference_table(study) is not None:
        legend.append(
            f"difference: config - {shown_name(study, study['first'])}, within each replicate that "
            "both have finished"
        )
    if any("order" in replicate for replicate in replicates):
        legend.append(
            "a replicate is an order of the stream with a seed; the interval takes all of them as "
            "independent"
        )
    columns = study["rows"][0]["columns"]
    if "gap_closed" in columns:
        legend.append(
            f"gap closed: (config - {study['naive']}) / ({study['joint']} - {study['naive']}), "
            "within each replicate"
        )
    if "forgetting" in columns:
        legend.append("forgetting: best before the end minus final; from first: first minus final")
    if "train_time" in columns:
        legend.append(f"time: seconds of training over those of {study['naive']}")
    if "kept_memory" in columns:
        legend.append(
            f"memory, over that of {study['naive']}: peak: the highest of the process (on CUDA of "
            "torch); kept: weights and what the method keeps, without images that it refers to"
        )
    return legend


def _exact_table(study: Study) -> Table:
    """Return a row a config with every mean and the ends of its interval in all digits."""
    deployed = {row["config"]: row["columns"] for row in study.get("deployed", ())}
    columns = list(study["rows"][0]["columns"])
    columns += list(next(iter(deployed.values()), ()))
    parts = {"": "mean", "_low": "low", "_high": "high"}
    if study.get("splits"):
        parts |= {f"_{name}": name for name in ("median", "median_low", "median_high")}
    header = ("config", "runs", *(f"{name}{end}" for name in columns for end in parts))
    rows = []
    for row in study["rows"]:
        own = {**row["columns"], **deployed.get(row["config"], {})}
        cells = [own.get(name, {}).get(part) for name in columns for part in parts.values()]
        rows.append((row["config"], str(row["runs"]), *exact(*cells)))
    return Table("", header, tuple(rows))


def label_table(study: LabelStudy, style: Style = "text") -> str:
    """Return `label_rows` in a style of `render`."""
    return render(label_rows(study), style)


def label_rows(study: LabelStudy) -> Table:
    """Return a row a number of images, with means, 95 % intervals and a verdict."""
    columns = (study["baseline"], study["other"], "difference")
    rows = []
    for row in study["rows"]:
        low, high = row["difference"]["low"], row["difference"]["high"]
        shown = verdict(None if low is None else (low, high))
        counts = (str(row["images"]), str(len(row["seeds"])))
        rows.append((*counts, *(mean_cell(row[name]) for name in columns), shown))
    title = f"Final {LABELS.get(study['final'], study['final'])}, mean ± 95 % interval over seeds"
    header = ("training images", "seeds", *(shown_name(study, name) for name in columns), "")
    return Table(title, header, tuple(rows))
