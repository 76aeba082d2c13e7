"""From one row per experience and data set to the content of ``results.json``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cliqa.evaluation.records.gates import gate_section, gate_warnings
from cliqa.evaluation.records.results import Results, main_measure, row_labels
from cliqa.evaluation.summary import summarize
from cliqa.utils.errors import EvaluationError

Row = Mapping[str, Any]
Cells = Mapping[tuple[int, str], Row]

AGREEMENT = "agreement"
"""Key of a row: the SRCC with what the model gave that had just learnt the data set."""

NO_MEASURE = frozenset(
    ("kind", "experience", "dataset", "name", "epoch", "n", "n_ties", "seconds", "interval")
    + (AGREEMENT,)
)
"""Keys of a row that hold a number (or more) but no measure."""


def build_results(
    rows: Iterable[Row],
    *,
    experiences: Sequence[str],
    datasets: Sequence[str],
    status: str,
    seed: int,
    config: str,
    joint: bool = False,
    unseen: Sequence[str] = (),
    stability: Sequence[float | None] | None = None,
    extra_summary: Mapping[str, float | None] | None = None,
    extra_reasons: Mapping[str, str] | None = None,
    anytime: Mapping[str, float | None] | None = None,
    ahead_only: str | None = None,
    seconds: Mapping[str, Sequence[float]] | None = None,
    memory: Mapping[str, Sequence[int]] | None = None,
    parameters: Mapping[str, Sequence[int]] | None = None,
    warnings: Iterable[str] = (),
) -> Results:
    """Return the content of ``results.json`` from one row per experience and data set.

    Args:
        rows: Each has ``experience`` (index t from 0) and ``dataset`` (its name); every further
            number is a measure, None where it is not defined. ``interval`` (measure to (low,
            high)), ``warnings`` and ``n`` are taken as `QualityReport.to_row` writes them.
        experiences: Names of the stream's experiences, in order.
        datasets: Names of the evaluated data sets; the experiences' own first, in their order.
        status: ``"running"``, ``"stopped"`` or ``"finished"``.
        seed: The run's seed.
        config: The config file.
        joint: The model saw all data at once: one row, experience 0.
        unseen: Those of `datasets`, its last ones, that are never trained on.
        stability: Stability index of every experience, from `matrix.stability`.
        extra_summary: Further summary numbers (CLEAR's five).
        extra_reasons: Why those of them that are None are not defined.
        anytime: Summary numbers of an online stream.
        ahead_only: Why a model is tested on nothing that it has learnt, where that is so.
        seconds: ``train`` and ``eval`` time of every experience.
        memory: ``peak`` and ``kept`` bytes after every experience.
        parameters: ``all`` of the model after every experience, and those ``trained`` in it.
        warnings: What else a reader must know.

    Returns:
        A dict of JSON's own types.

    Raises:
        EvaluationError: There is no row, two rows are about the same, a row names an unknown data
            set, a number is infinite, or the order of `datasets` is wrong.
    """
    _check_order(experiences, datasets, joint)
    cells = _by_cell(rows, experiences, datasets, joint)
    count = 1 + max(t for t, _ in cells)
    results: Results = {
        "status": status,
        "seed": seed,
        "config": config,
        "joint": joint,
        "experiences": list(experiences),
        "datasets": list(datasets),
        **({"unseen": list(unseen)} if unseen else {}),
        "images": [_images(cells, name) for name in datasets],
        "matrix": {},
        "interval": {},
        "summary": {},
        "seconds": {key: [float(s) for s in values] for key, values in (seconds or {}).items()},
        "memory": {key: [int(b) for b in values] for key, values in (memory or {}).items()},
        "parameters": {key: list(values) for key, values in (parameters or {}).items()},
        "warnings": [],
    }
    for measure in _measures(cells.values()):
        results["matrix"][measure] = [
            [_number(cells.get((t, name), {}).get(measure), measure, t, name) for name in datasets]
            for t in range(count)
        ]
        bands = [[_interval(cells.get((t, k)), measure) for k in datasets] for t in range(count)]
        if any(band is not None for line in bands for band in line):
            results["interval"][measure] = bands
    gates = gate_section(cells, datasets)
    if gates:
        results["gate"] = gates
    if not results["matrix"]:
        raise EvaluationError("no row holds a measure, so there is nothing to summarise.")
    labels = [label.removeprefix("after ") for label in row_labels(results)]
    measure = main_measure(results)
    summary = summarize(
        results["matrix"][measure],
        measure,
        joint=joint,
        unseen=len(unseen),
        stability=stability,
        experiences=labels,
        datasets=datasets,
    )
    extra = {**(extra_summary or {}), **(anytime or {})}
    missing = {name: "not defined" for name, value in extra.items() if value is None}
    reasons = {**summary.reasons, **missing, **(extra_reasons or {})}
    if ahead_only:
        reasons.update(dict.fromkeys(summary.reasons, ahead_only))
    values = dict(summary.values)
    if ahead_only:
        values.pop("unseen", None)  # every cell is of what was not learnt yet
    results["summary"] = {**values, **extra}
    results["warnings"] = [
        *warnings,
        *_row_warnings(results, cells, measure, ahead_only is not None),
        *gate_warnings(cells),
        *(f"{name}: {reason}" for name, reason in reasons.items()),
    ]
    return results


def _check_order(experiences: Sequence[str], datasets: Sequence[str], joint: bool) -> None:
    """Refuse data sets that are named twice, or that come in another order than experiences."""
    if len(set(datasets)) < len(datasets):
        raise EvaluationError(f"two data sets share a name: {', '.join(datasets)}. Set name=...")
    for t, name in enumerate(experiences):
        if not joint and name in datasets and datasets.index(name) != t:
            raise EvaluationError(
                f"data set '{name}' is experience {t} but number {datasets.index(name)} of the "
                "evaluated data sets; list the experiences' own first, in their order."
            )


def _by_cell(
    rows: Iterable[Row], experiences: Sequence[str], datasets: Sequence[str], joint: bool
) -> dict[tuple[int, str], Row]:
    """Return the rows by (experience, data set)."""
    cells: dict[tuple[int, str], Row] = {}
    last = 0 if joint else len(experiences) - 1
    for row in rows:
        t, name = int(row["experience"]), str(row["dataset"])
        if name not in datasets:
            raise EvaluationError(f"a row is about data set '{name}'; known: {', '.join(datasets)}")
        if not 0 <= t <= last:
            raise EvaluationError(
                f"a row is about experience {t} of 0..{last}"
                + ("; joint training has one row, experience 0." if joint else ".")
            )
        if (t, name) in cells:
            raise EvaluationError(f"two rows are about experience {t} and data set '{name}'.")
        cells[t, name] = row
    if not cells:
        raise EvaluationError("there is no evaluation yet, so there are no results.")
    return cells


def _measures(rows: Iterable[Row]) -> list[str]:
    """Return the measures in the order in which they first occur."""
    found = {
        key: None
        for row in rows
        for key, value in row.items()
        if key not in NO_MEASURE
        and (value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)))
    }
    return list(found)


def _number(value: float | None, measure: str, t: int, name: str) -> float | None:
    """Return a measure as JSON can hold it; NaN is not defined, infinity is a mistake."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        raise EvaluationError(f"{measure} after experience {t} on '{name}' is infinite.")
    return float(value)


def _interval(row: Row | None, measure: str) -> list[float] | None:
    """Return a row's interval of one measure."""
    band = ((row or {}).get("interval") or {}).get(measure)
    return None if band is None else [float(band[0]), float(band[1])]


def _images(cells: Cells, name: str) -> int | None:
    """Return the number of test images of a data set, as its last row gives it."""
    counts = [row.get("n") for (_, dataset), row in sorted(cells.items()) if dataset == name]
    return counts[-1] if counts else None


def _row_warnings(
    results: Results, cells: Cells, measure: str, ahead_only: bool = False
) -> list[str]:
    """Return the rows' warnings with their places, and a reason for every cell without a value."""
    found, unevaluated = [], []
    for t, label in enumerate(row_labels(results)):
        for k, name in enumerate(results["datasets"]):
            row = cells.get((t, name))
            if row is None and ahead_only and k <= t:
                continue
            if row is None:
                unevaluated.append(f"{label} on {name}")
                continue
            reasons = list(row.get("warnings") or ())
            if results["matrix"][measure][t][k] is None and not reasons:
                reasons = [f"{measure} is not defined"]
            found += [f"{label} on {name}: {reason}" for reason in reasons]
    if unevaluated:
        more = f" and {len(unevaluated) - 3} more" if len(unevaluated) > 3 else ""
        found.append(f"not evaluated: {', '.join(unevaluated[:3])}{more}")
    return found
