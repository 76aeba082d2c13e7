"""Two configs at several numbers of training images: what pretraining is worth, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.evaluation.mean_interval import mean_interval
from cliqa.evaluation.records.results import Results
from cliqa.evaluation.records.study_table import mean_cell
from cliqa.evaluation.records.tables import (
    LABELS,
    NOT_DEFINED,
    Style,
    Table,
    common_measure,
    render,
)
from cliqa.evaluation.summary import mean_name
from cliqa.utils.errors import EvaluationError

LabelStudy = dict[str, Any]
"""The content of ``label_study.json``: plain values alone; see `build_label_study`."""

Arms = Mapping[str, Mapping[str, Results]]
"""Content of ``results.json`` by config and by replicate."""


def build_label_study(runs: Mapping[int, Arms], baseline: str, other: str) -> LabelStudy:
    """Return means and intervals of two configs, and of their difference paired by seed.

    What a seed makes easy or hard for both cancels out in the difference.

    Args:
        runs: The finished runs by the number of training images of each data set.
        baseline: One config's name.
        other: The other's.

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
            "no seed has finished in both configs, so there is nothing to sum up."
        )
    measure = common_measure(finished)
    final = mean_name(measure)
    rows = []
    for images, seeds in paired.items():
        values = {
            name: [runs[images][name][seed]["summary"].get(final) for seed in seeds]
            for name in (baseline, other)
        }
        values["difference"] = [
            None if a is None or b is None else b - a
            for a, b in zip(values[baseline], values[other], strict=True)
        ]
        rows.append(
            {
                "images": images,
                "seeds": seeds,
                **{name: {"values": v, **_estimate(v)} for name, v in values.items()},
            }
        )
    return {
        "measure": measure,
        "final": final,
        "baseline": baseline,
        "other": other,
        "rows": rows,
    }


def _estimate(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean, low and high; None where a value is not defined."""
    known = [value for value in values if value is not None]
    return mean_interval(known if len(known) == len(values) else [])._asdict()


def label_table(study: LabelStudy, style: Style = "text") -> str:
    """Return a row a number of images, with means, 95 % intervals and a verdict.

    Args:
        study: What `build_label_study` returned.
        style: As `render`; ``"csv"`` is rounded like the others.
    """
    columns = (study["baseline"], study["other"], "difference")
    rows = [
        (
            str(row["images"]),
            str(len(row["seeds"])),
            *(mean_cell(row[name]) for name in columns),
            verdict(row["difference"]),
        )
        for row in study["rows"]
    ]
    title = f"Final {LABELS.get(study['final'], study['final'])}, mean ± 95 % interval over seeds"
    header = ("training images", "seeds", *columns, "")
    return render(Table(title, header, tuple(rows)), style)


def verdict(difference: Mapping[str, Any]) -> str:
    """Return what an interval of a difference says.

    >>> verdict({"low": 0.01, "high": 0.2}), verdict({"low": -0.1, "high": 0.2})
    ('better', 'no difference shown')
    """
    if difference["low"] is None:
        return NOT_DEFINED
    if difference["low"] > 0:
        return "better"
    return "worse" if difference["high"] < 0 else "no difference shown"
