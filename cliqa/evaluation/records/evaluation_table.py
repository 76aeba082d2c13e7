"""Several evaluated models side by side, as tables for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.evaluation.comparison import Evaluation, same_protocol
from cliqa.evaluation.records.tables import LABELS, Style, Table, number, render

OF_SCORES = ("srcc", "plcc", "plcc_fit", "krcc", "rmse")
OF_CLASSES = ("accuracy", "accuracy_task_il")
HEADS = {**LABELS, "plcc_fit": "PLCC fit", "accuracy_task_il": "task-IL"}

CHANCE = 20
"""Of so many comparisons at 95 %, one is expected to look like a difference by chance alone."""


def measures_table(evaluations: Mapping[str, Evaluation]) -> Table:
    """Return a line a data set and model, with the 95 % interval of the main measure.

    Args:
        evaluations: Contents of ``eval_results.json`` by the models' names.
    """
    measures = _measures(evaluations)
    rows = []
    for dataset in _datasets(evaluations):
        for model, evaluation in evaluations.items():
            data = evaluation["datasets"].get(dataset)
            if data is not None:
                metrics = data["metrics"]
                band = (metrics.get("interval") or {}).get(measures[0])
                values = [number(metrics.get(measure)) for measure in measures]
                rows.append(
                    (dataset, model, str(metrics["n"]), values[0], _range(band), *values[1:])
                )
    heads = [HEADS.get(measure, measure) for measure in measures]
    header = ("data set", "model", "n", heads[0], "95 %", *heads[1:])
    return Table("Evaluation", header, tuple(rows))


def comparison_lines(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    """Return a line a data set and pair of models: is A better than B?

    Args:
        comparisons: What `compare_evaluations` returned.
    """
    rows = []
    for row in comparisons:
        if row["difference"] is None:
            rows.append((row["dataset"], row["a"], row["b"], *["n/a"] * 3, row["note"]))
            continue
        difference = f"{row['difference']:+.3f}"
        p_value = "n/a" if row["p_value"] is None else f"{row['p_value']:.3g}"
        shown = (difference, _range(row["interval"], sign="+"), p_value)
        rows.append((row["dataset"], row["a"], row["b"], *shown, verdict(row)))
    named = next((row["measure"] for row in comparisons if row["measure"]), "srcc")
    header = ("data set", "A", "B", "A - B", "95 %", "p", "")
    title = f"Paired bootstrap over images: difference of {HEADS.get(named, named)}"
    return Table(title, header, tuple(rows))


def verdict(row: Mapping[str, Any]) -> str:
    """Return what a comparison says.

    >>> verdict({"interval": [0.01, 0.03], "note": None, "n": 100})
    'A is better'
    >>> verdict({"interval": [-0.01, 0.03], "note": None, "n": 100})
    'no difference shown'
    """
    if row["interval"] is None:
        said = f"too few images ({row['n']})"
    elif row["interval"][0] > 0:
        said = "A is better"
    else:
        said = "B is better" if row["interval"][1] < 0 else "no difference shown"
    return f"{said}; {row['note']}" if row["note"] else said


def evaluation_report(
    evaluations: Mapping[str, Evaluation],
    comparisons: Sequence[Mapping[str, Any]],
    style: Style = "text",
) -> str:
    """Return all about several models: measures, comparisons, and what to know about both.

    Args:
        evaluations: Contents of ``eval_results.json`` by the models' names.
        comparisons: What `compare_evaluations` returned.
        style: ``"text"`` or ``"markdown"`` for people; ``"csv"`` for machines: one line a number,
            with all digits, without the notes.

    Raises:
        ValueError: `style` is unknown.
    """
    if style == "csv":
        return render(_long_table(evaluations, comparisons), style)
    tables = [measures_table(evaluations)]
    if comparisons:
        tables.append(comparison_lines(comparisons))
    parts = [render(table, style) for table in tables]
    parts.append("\n".join(["Notes", "", *_notes(evaluations, comparisons)]) + "\n")
    return "\n".join(parts)


def _notes(
    evaluations: Mapping[str, Evaluation], comparisons: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return the protocol, and whatever a reader of the tables must know, a line each."""
    said = list(dict.fromkeys(e["protocol"]["shown"] for e in evaluations.values()))
    splits = list(dict.fromkeys(e["protocol"]["split"] for e in evaluations.values()))
    lines = [f"- protocol: {'; '.join(said)}; split {', '.join(splits)}"]
    if not same_protocol(list(evaluations.values())):
        lines.append(
            "- the models saw the images in different ways (their preprocessing differs), which "
            "moves scores as well: compare with care"
        )
    many = sum(row["interval"] is not None for row in comparisons)
    if many >= CHANCE // 4:
        lines.append(
            f"- {many} comparisons at 95 %: {many / CHANCE:.1f} of them are expected to show a "
            "difference by chance alone"
        )
    for model, evaluation in evaluations.items():
        for dataset, data in evaluation["datasets"].items():
            lines += [f"- {model}, {dataset}: {text}" for text in data["metrics"]["warnings"]]
    return lines


def _long_table(
    evaluations: Mapping[str, Evaluation], comparisons: Sequence[Mapping[str, Any]]
) -> Table:
    """Return every number in a line of its own; a difference has the model ``A - B``."""
    rows = []
    for model, evaluation in evaluations.items():
        for dataset, data in evaluation["datasets"].items():
            metrics = data["metrics"]
            for measure in (*OF_SCORES, "rmse_fit", *OF_CLASSES):
                if measure in metrics:
                    band = (metrics.get("interval") or {}).get(measure) or (None, None)
                    values = map(_exact, (metrics[measure], *band))
                    rows.append((dataset, model, measure, *values, "", str(metrics["n"])))
    for row in comparisons:
        if row["difference"] is not None:
            band = row["interval"] or (None, None)
            values = map(_exact, (row["difference"], *band, row["p_value"]))
            pair = f"{row['a']} - {row['b']}"
            rows.append((row["dataset"], pair, row["measure"], *values, str(row["n"])))
    header = ("dataset", "model", "measure", "value", "low", "high", "p_value", "n")
    return Table("", header, tuple(rows))


def _measures(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return the measures to show, the main one first."""
    known = {
        name: value
        for evaluation in evaluations.values()
        for data in evaluation["datasets"].values()
        for name, value in data["metrics"].items()
    }
    return [name for name in (*OF_SCORES, *OF_CLASSES) if name in known]


def _datasets(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Return the data sets of all models, each once."""
    return list(dict.fromkeys(name for e in evaluations.values() for name in e["datasets"]))


def _range(band: Sequence[float] | None, sign: str = "") -> str:
    """Return an interval as a table shows it."""
    return f"{band[0]:{sign}.3f}..{band[1]:{sign}.3f}" if band else "n/a"


def _exact(value: float | None) -> str:
    """Return all digits of a value, or nothing."""
    return "" if value is None else repr(float(value))
