"""Tables in several styles, and those over the content of ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cliqa.evaluation.matrix import ValueOrReason, gap_closed
from cliqa.evaluation.records.gates import gate_table
from cliqa.evaluation.records.results import Results, column_labels, main_measure, row_labels
from cliqa.evaluation.records.table_styles import NOT_DEFINED, Style, Table, noted, render
from cliqa.evaluation.summary import MEANINGS, mean_name
from cliqa.utils.errors import EvaluationError

LABELS = {"srcc": "SRCC", "plcc": "PLCC", "krcc": "KRCC", "rmse": "RMSE", "msrcc": "mSRCC"}
"""How the field writes a measure; other measures keep their names."""

MOST_WITH_INTERVALS = 6
"""With more data sets than this, a table shows values alone; the files have the intervals."""


COMPARES = ("bwt", "forgetting")
"""How numbers begin that compare experiences: one data set alone has none of them."""


def number(value: float | None, digits: int = 3) -> str:
    """Return a value as a table shows it.

    >>> number(0.12345), number(None), number(-0.0001)
    ('0.123', 'n/a', '0.000')
    """
    if value is None:
        return NOT_DEFINED
    return f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0.000"


def exact(*values: float | None) -> tuple[str, ...]:
    """Return values with all digits, as a CSV file holds them; empty where not defined.

    >>> exact(0.1, None)
    ('0.1', '')
    """
    return tuple("" if value is None else repr(float(value)) for value in values)


def verdict(interval: Sequence[float] | None, better: str = "better", worse: str = "worse") -> str:
    """Return what the 95 % interval of a difference shows.

    >>> verdict([0.01, 0.2]), verdict([-0.1, 0.2]), verdict(None)
    ('better', 'no difference shown', 'n/a')
    """
    if interval is None:
        return NOT_DEFINED
    if interval[0] > 0:
        return better
    return worse if interval[1] < 0 else "no difference shown"


def score_table(results: Results, measure: str) -> Table:
    """Return one measure after every experience (rows) on every data set (columns).

    Its 95 % intervals are added where the results have them and the lines do not grow too long
    (`MOST_WITH_INTERVALS` data sets).

    Raises:
        EvaluationError: The results have no such measure.
    """
    if measure not in results["matrix"]:
        known = ", ".join(results["matrix"])
        raise EvaluationError(f"the results have no measure '{measure}'. They have {known}.")
    few = len(results["datasets"]) <= MOST_WITH_INTERVALS
    bands = results["interval"].get(measure) if few else None
    rows = []
    for t, label in enumerate(row_labels(results)):
        cells = [label]
        for k, value in enumerate(results["matrix"][measure][t]):
            band = bands[t][k] if bands and value is not None else None
            cells.append(
                number(value) + (f" [{number(band[0])}, {number(band[1])}]" if band else "")
            )
        rows.append(tuple(cells))
    title = LABELS.get(measure, measure) + (" [95 % interval]" if bands else "")
    return Table(title, ("", *column_labels(results)), tuple(rows))


def summary_table(results: Results) -> Table:
    """Return the summary numbers with what they mean, or why they are not defined.

    With one data set there is nothing to forget: those numbers are left out.
    """
    reasons = {}
    for warning in results["warnings"]:
        name, _, reason = warning.partition(": ")
        reasons[name] = reason
    rows = []
    single = len(results["datasets"]) - len(results.get("unseen", ())) == 1
    for name, value in results["summary"].items():
        if value is None and single and name.startswith(COMPARES):
            continue
        note = MEANINGS.get(name, "")
        if value is None:
            note = reasons.get(name, "not defined")
        rows.append((LABELS.get(name, name), number(value), note))
    return Table("Summary", ("", "value", ""), tuple(rows))


def report(results: Results, style: Style = "text") -> str:
    """Return all that a run prints at its end: scores, summary and warnings.

    ``"csv"`` is for machines: one line per number, empty where it is not defined, without the
    warnings.
    """
    if style == "csv":
        return render(_long_table(results), style)
    main = main_measure(results)
    second = [name for name in ("plcc", "accuracy_task_il") if name in results["matrix"]]
    tables = [score_table(results, measure) for measure in (main, *second)]
    if results.get("gate"):
        tables.append(gate_table(results["gate"], results["datasets"], results["matrix"][main]))
    parts = [render(table, style) for table in (*tables, summary_table(results))]
    summary = set(results["summary"])
    notes = [note for note in results["warnings"] if note.partition(": ")[0] not in summary]
    if notes:
        parts.append(noted(_gathered(notes, row_labels(results)), style))
    return "\n".join(parts)


def _gathered(notes: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the notes; what is so on a data set after every experience is said once."""
    found: dict[str, list[str]] = {}
    for note in notes:
        label = next((label for label in labels if note.startswith(f"{label} on ")), None)
        text = note if label is None else note.removeprefix(f"{label} ")
        found.setdefault(text, []).append(note)
    always = {text for text, alike in found.items() if 1 < len(labels) == len(alike)}
    lines = []
    for text, alike in found.items():
        lines += [f"each time {text}"] if text in always else alike
    return sorted(lines, key=lambda line: line.startswith("each time "))


def _long_table(results: Results) -> Table:
    """Return every number of the results in a line of its own."""
    rows = []
    gates = {f"gate_{name}": grid for name, grid in results.get("gate", {}).items()}
    for measure, matrix in {**results["matrix"], **gates}.items():
        bands = results["interval"].get(measure)
        for t, label in enumerate(row_labels(results)):
            for k, dataset in enumerate(results["datasets"]):
                band = (bands[t][k] if bands else None) or (None, None)
                after = label.removeprefix("after ")
                rows.append((measure, after, dataset, *exact(matrix[t][k], *band)))
    rows += [(name, "", "", *exact(value), "", "") for name, value in results["summary"].items()]
    return Table("", ("measure", "after", "dataset", "value", "low", "high"), tuple(rows))


def comparison_table(runs: Mapping[str, Results]) -> Table:
    """Return the final scores of several runs, with how far each closes the gap to joint training.

    The gap is given where exactly one run is joint and exactly one is called or configured naive.

    Raises:
        EvaluationError: There is no run, or the runs have different measures.
    """
    measure = common_measure(runs)
    datasets = list(dict.fromkeys(name for run in runs.values() for name in run["datasets"]))
    mean = mean_name(measure)
    bracket = _bracket(runs, mean)
    rows = []
    for name, run in runs.items():
        last = dict(zip(run["datasets"], run["matrix"][measure][-1], strict=True))
        value = run["summary"].get(mean)
        gap = ValueOrReason(None)
        if bracket and value is not None:
            gap = gap_closed(value, *bracket)
        rows.append(
            (
                name,
                *(number(last.get(dataset)) for dataset in datasets),
                number(value),
                number(run["summary"].get("forgetting")),
                *((number(gap.value, 2),) if bracket else ()),
            )
        )
    heads = (LABELS.get(mean, "mean"), "forgetting", *(("gap closed",) if bracket else ()))
    return Table(f"Final {LABELS.get(measure, measure)}", ("", *datasets, *heads), tuple(rows))


def common_measure(runs: Mapping[str, Results]) -> str:
    """Return the measure by which several runs are compared.

    Raises:
        EvaluationError: There is no run, or the runs have different measures.
    """
    if not runs:
        raise EvaluationError("there is no run to compare.")
    found = {name: main_measure(run) for name, run in runs.items()}
    if len(set(found.values())) > 1:
        given = ", ".join(f"{name}: {measure}" for name, measure in found.items())
        raise EvaluationError(f"runs of different measures cannot be compared ({given}).")
    return next(iter(found.values()))


def _bracket(runs: Mapping[str, Results], mean: str) -> tuple[float, float] | None:
    """Return the final means of the naive and the joint run, None unless there is one of each."""
    joint = [run["summary"].get(mean) for run in runs.values() if run.get("joint")]
    naive = [
        run["summary"].get(mean)
        for name, run in runs.items()
        if not run.get("joint") and "naive" in f"{name} {run.get('config')}".lower()
    ]
    if len(joint) != 1 or len(naive) != 1 or None in (*joint, *naive):
        return None
    return naive[0], joint[0]
