"""Means, 95 % intervals and the share of the gap closed, of configs over seeds.

A replicate is what is repeated for every config: a seed, or an order of the stream with a seed.
What compares two configs (the gap, the time) is computed within each replicate and averaged then:
what a seed makes easy or hard for both cancels out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cliqa.evaluation.matrix import ValueOrReason, gap_closed
from cliqa.evaluation.mean_interval import mean_interval, median_interval
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.tables import common_measure
from cliqa.evaluation.summary import mean_name
from cliqa.utils.errors import EvaluationError

Study = dict[str, Any]
"""The content of ``study.json``: plain values alone; see `build_study`."""

LabelStudy = dict[str, Any]
"""The content of ``label_study.json``: plain values alone; see `build_label_study`."""

Runs = Mapping[str, Mapping[str, Results]]
"""Content of ``results.json`` by config and by replicate; what has not finished is left out."""

GAP = "gap_closed"
SUFFIX_TASK_IL = "_task_il"

_Total = Callable[[Sequence[float]], float]

COSTS: dict[str, tuple[str, str, _Total]] = {
    "train_time": ("seconds", "train", sum),
    "peak_memory": ("memory", "peak", max),
    "kept_memory": ("memory", "kept", max),
}
"""Columns that are ratios to the naive run: where the steps' numbers stand, and their total."""


@dataclass(frozen=True)
class _Bracket:
    """The runs that others are compared with, by replicate."""

    naive: Mapping[str, Results]
    joint: Mapping[str, Results]

    def gap(self, replicate: str, run: Results, name: str) -> ValueOrReason | None:
        """Return how much of the gap a run closes; None where a bound has not finished."""
        if replicate not in self.naive or replicate not in self.joint:
            return None
        ends = (self.naive[replicate], self.joint[replicate])
        value, low, high = (part["summary"].get(name) for part in (run, *ends))
        if value is None or low is None or high is None:
            return ValueOrReason(None, f"{name} is not defined in a run that it compares")
        return gap_closed(value, low, high)

    def ratio(self, replicate: str, run: Results, name: str) -> ValueOrReason | None:
        """Return a cost over the naive run's; None where that has not finished."""
        if replicate not in self.naive:
            return None
        part, key, total = COSTS[name]
        own, least = (total(one[part][key]) for one in (run, self.naive[replicate]))
        return (
            ValueOrReason(own / least)
            if least > 0
            else ValueOrReason(None, "the naive run had none")
        )


def build_study(
    runs: Runs,
    *,
    replicates: Sequence[str],
    naive: str | None = None,
    joint: str | None = None,
    splits: bool = False,
) -> Study:
    """Return means and intervals of every config.

    Args:
        runs: The finished runs of every config, in the order to show; the naive config is moved to
            the top and the joint one to the bottom.
        replicates: Every replicate that was asked for, in order.
        naive: The config that is the lower bound.
        joint: The config that is the upper bound.
        splits: The replicates are random splits of the data: every column has a ``median`` too,
            with ``median_low`` and ``median_high`` (see `median_interval`), and the study is marked
            by ``splits``.

    Returns:
        ``measure``, ``final`` (the name of its mean), ``naive``, ``joint``, ``replicates``,
        ``rows`` and ``notes``. A row has ``config``, ``runs`` (how many have finished) and
        ``columns``: by name ``values`` (by replicate), ``mean``, ``low`` and ``high``. A mean is
        not defined (None) where it is not in one of the config's finished runs. The columns are the
        final mean, ``gap_closed``, for classes both again with ``_task_il``, ``next_domain`` of
        CLEAR, ``forgetting``, ``forgetting_from_first``, the plasticity (``mpi`` or
        ``learning_accuracy``), and those of `COSTS` (the naive run's are 1).

        ``differences`` are such rows again, of each config minus ``first`` within every replicate
        that both have finished, in the summary's numbers alone; ``first`` is the config that comes
        first, bounds apart.

    Raises:
        EvaluationError: No run has finished, or they measure different things.
    """
    ordered = sorted(runs, key=lambda name: (name == joint) - (name == naive))
    finished = {f"{name}, {key}": run for name in ordered for key, run in runs[name].items()}
    if not finished:
        raise EvaluationError("no run of the study has finished, so there is nothing to summarise.")
    measure = common_measure(finished)
    _check_streams(finished)
    bracket = _Bracket(runs.get(naive or "", {}), runs.get(joint or "", {}))
    readers = _readers(measure, list(finished.values()), bracket)
    missing: list[str] = []
    undefined: dict[str, list[str]] = {}
    rows = []
    for name in ordered:
        absent = [key for key in replicates if key not in runs[name]]
        missing += [f"{name}: not finished: {', '.join(absent)}"] if absent else []
        columns = {
            column: _column(column, read, name, runs[name], undefined)
            for column, read in readers.items()
        }
        rows.append({"config": name, "runs": len(runs[name]), "columns": columns})
        if splits:
            _add_medians(columns)
    first = next((name for name in runs if name not in (naive, joint)), ordered[0])
    return {
        "measure": measure,
        "final": mean_name(measure),
        "naive": naive,
        "joint": joint,
        "replicates": list(replicates),
        "rows": rows,
        "first": first,
        "differences": _differences(rows, first),
        "notes": [*missing, *(f"{what} ({', '.join(keys)})" for what, keys in undefined.items())],
        **({"splits": True} if splits else {}),
    }


def _add_medians(columns: Mapping[str, dict[str, Any]]) -> None:
    """Add the median and its interval to every column that is defined in all runs."""
    for column in columns.values():
        values = list(column["values"].values())
        found = median_interval([] if None in values else values)
        names = ("median", "median_low", "median_high")
        column.update(zip(names, found, strict=True))


def _differences(rows: Sequence[dict[str, Any]], first: str) -> list[dict[str, Any]]:
    """Return each config's columns minus those of the first, paired by replicate."""
    base = next(row["columns"] for row in rows if row["config"] == first)
    found = []
    for row in rows:
        if row["config"] == first:
            continue
        columns = {}
        for name, column in row["columns"].items():
            if name.startswith((GAP, *COSTS)):
                continue
            columns[name] = estimate(_paired(column["values"], base[name]["values"]))
        runs = max((len(column["values"]) for column in columns.values()), default=0)
        found.append({"config": row["config"], "runs": runs, "columns": columns})
    return found


def _check_streams(runs: Mapping[str, Results]) -> None:
    """Refuse runs over different data sets; their order may differ."""
    (first, wanted), *others = runs.items()
    for name, run in others:
        if sorted(run["datasets"]) != sorted(wanted["datasets"]):
            raise EvaluationError(
                f"runs over different data sets cannot be compared ({first}: "
                f"{', '.join(wanted['datasets'])}; {name}: {', '.join(run['datasets'])}). Study "
                "each stream on its own."
            )


_Reader = Callable[[str, Results], ValueOrReason | None]


def _readers(measure: str, finished: Sequence[Results], bracket: _Bracket) -> dict[str, _Reader]:
    """Return the function that reads each column's number from a run."""
    final = mean_name(measure)
    plasticity = "mpi" if measure == "srcc" else f"learning_{measure}"
    known = {name for run in finished for name in run["summary"]}
    if all(len(run["datasets"]) == 1 for run in finished):  # nothing to forget, nor to retain
        known -= {"forgetting", "forgetting_from_first", plasticity}
    readers: dict[str, _Reader] = {}
    for name, suffix in ((final, ""), (final + SUFFIX_TASK_IL, SUFFIX_TASK_IL)):
        if name not in known:
            continue
        readers[name] = partial(_from_summary, name=name)
        if bracket.naive and bracket.joint:
            readers[GAP + suffix] = partial(bracket.gap, name=name)
    for name in ("next_domain", "forgetting", "forgetting_from_first", plasticity, "unseen"):
        if name in known:
            readers[name] = partial(_from_summary, name=name)
    for name, (part, key, _) in COSTS.items():
        if bracket.naive and all(run[part].get(key) for run in finished):
            readers[name] = partial(bracket.ratio, name=name)
    return readers


def _from_summary(_: str, run: Results, name: str) -> ValueOrReason:
    """Return one of the summary's numbers."""
    reasons = dict(warning.partition(": ")[::2] for warning in run["warnings"])
    return ValueOrReason(run["summary"].get(name), reasons.get(name))


def _column(
    column: str,
    read: _Reader,
    config: str,
    runs: Mapping[str, Results],
    undefined: dict[str, list[str]],
) -> dict[str, Any]:
    """Return one config's numbers in a column; replicates without one are added to `undefined`."""
    found = {key: read(key, run) for key, run in runs.items()}
    measured = {key: value for key, value in found.items() if value is not None}
    values = {key: value.value for key, value in measured.items()}
    whose = "" if column.startswith(GAP) else f"{config}: "  # the bounds are every config's
    for key, value in measured.items():
        if value.value is None and not runs[key]["joint"]:
            keys = undefined.setdefault(f"{whose}{column}: {value.reason or 'not defined'}", [])
            keys += [] if key in keys else [key]
    return estimate(values)


def estimate(values: Mapping[str, float | None]) -> dict[str, Any]:
    """Return values by replicate with mean, low and high; None where a value is not defined."""
    known = [value for value in values.values() if value is not None]
    estimate = mean_interval(known if len(known) == len(values) else [])
    return {"values": values, **estimate._asdict()}


def _paired(
    values: Mapping[str, float | None], base: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return values minus those of the base, for the replicates that both have."""
    pairs = {key: (value, base[key]) for key, value in values.items() if key in base}
    return {k: None if a is None or b is None else a - b for k, (a, b) in pairs.items()}


def build_label_study(runs: Mapping[int, Runs], baseline: str, other: str) -> LabelStudy:
    """Return means and intervals of two configs, and of their difference paired by seed.

    What a seed makes easy or hard for both cancels out in the difference. The runs are those that
    have finished, by the number of training images of each data set.

    Returns:
        ``measure``, ``final`` (the name of its mean), ``baseline``, ``other`` and ``rows``. A row
        has ``images``, ``seeds`` and, by the configs' names and ``difference`` (other - baseline),
        ``values``, ``mean``, ``low`` and ``high``. Only seeds that both have finished count.

    Raises:
        EvaluationError: No number of images has a seed that both have finished, or the runs
            measure different things.
    """
    paired = {
        images: [seed for seed in arms[baseline] if seed in arms[other]]
        for images, arms in sorted(runs.items())
    }
    finished = {
        f"{name}, {images} images, {seed}": runs[images][name][seed]
        for images, seeds in paired.items()
        for name in (baseline, other)
        for seed in seeds
    }
    if not finished:
        raise EvaluationError(
            "no seed has finished in both configs, so there is nothing to summarise."
        )
    measure = common_measure(finished)
    final = mean_name(measure)
    rows = []
    for images, seeds in paired.items():
        values = {
            name: {seed: runs[images][name][seed]["summary"].get(final) for seed in seeds}
            for name in (baseline, other)
        }
        values["difference"] = _paired(values[other], values[baseline])
        found = {
            name: {**estimate(own), "values": list(own.values())} for name, own in values.items()
        }
        rows.append({"images": images, "seeds": seeds, **found})
    head = {"measure": measure, "final": final, "baseline": baseline, "other": other}
    return {**head, "rows": rows}
