"""Paired comparisons of evaluated models on the same images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from cliqa.evaluation.bootstrap import (
    MIN_IMAGES,
    PairedComparison,
    paired_bootstrap,
    two_sided_p_value,
)
from cliqa.utils.errors import EvaluationError

Evaluation = Mapping[str, Any]
"""The content of an ``eval_results.json``."""

RESAMPLES = 1000


def paired_accuracy(
    right_a: npt.ArrayLike, right_b: npt.ArrayLike, *, resamples: int = 1000, seed: int = 0
) -> PairedComparison:
    """Compare two classifiers, by which samples (N,) each has right, resample by resample.

    What a sample adds to the difference is 1 (A alone is right), -1 (B alone) or 0, so that a
    resample of N samples is one draw of a multinomial distribution.

    Raises:
        EvaluationError: The lengths differ, or there is no sample.

    >>> paired_accuracy([True, True, False, True], [True, False, False, False]).difference
    0.5
    """
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise EvaluationError(
            f"{a.size} and {b.size} answers: a paired comparison needs as many of each, and one."
        )
    values = float(a.mean()), float(b.mean())
    difference = values[0] - values[1]
    if a.size < MIN_IMAGES:
        return PairedComparison("accuracy", *values, difference, None, None)
    better, worse = int(np.sum(a & ~b)), int(np.sum(b & ~a))
    shares = np.array([better, worse, a.size - better - worse]) / a.size
    drawn = np.random.default_rng(seed).multinomial(a.size, shares, size=resamples)  # (R, 3)
    gaps = (drawn[:, 0] - drawn[:, 1]) / a.size
    low, high = np.quantile(gaps, [0.025, 0.975])
    interval = float(low), float(high)
    return PairedComparison("accuracy", *values, difference, interval, two_sided_p_value(gaps))


def compare_evaluations(
    evaluations: Mapping[str, Evaluation], *, resamples: int = RESAMPLES, seed: int = 0
) -> list[dict[str, Any]]:
    """Compare every two models on every data set that both were evaluated on.

    Args:
        evaluations: Contents of ``eval_results.json`` by the models' names.
        resamples: Of the bootstrap.
        seed: The resamples' seed.

    Returns:
        A row a data set and pair, with the fields of `PairedComparison`, ``dataset``, ``a``, ``b``,
        ``n`` and ``note``: the reason if there is no comparison, or a caveat; None otherwise.
    """
    rows = []
    for (a, first), (b, second) in itertools.combinations(evaluations.items(), 2):
        for name, data in first["datasets"].items():
            if name in second["datasets"]:
                other = second["datasets"][name]
                found, note = _compare(data, other, resamples, seed)
                if found is not None and not same_protocol([first, second]):
                    note = "the models saw the images in different ways"
                row = {"dataset": name, "a": a, "b": b, **_plain(found)}
                rows.append({**row, "n": len(data["predictions"]), "note": note})
    return rows


def same_protocol(evaluations: Sequence[Evaluation]) -> bool:
    """Return whether all models saw the same split with the same preprocessing."""
    ways = [
        {key: entry["protocol"].get(key) for key in ("preprocessing", "split")}
        for entry in evaluations
    ]
    return all(way == ways[0] for way in ways)


def _compare(
    first: Evaluation, second: Evaluation, resamples: int, seed: int
) -> tuple[PairedComparison | None, str | None]:
    """Return the comparison of two models on one data set, or why there is none."""
    rows_a, rows_b = first["predictions"], second["predictions"]
    samples = [[(row["image"], row["target"]) for row in rows] for rows in (rows_a, rows_b)]
    if samples[0] != samples[1]:
        return None, "not compared: the two were measured on different images or scores"
    answers = [[row["prediction"] for row in rows] for rows in (rows_a, rows_b)]
    truth = [row["target"] for row in rows_a]
    if any(answer is None for answer in itertools.chain(*answers)):
        return None, "not compared: a prediction is not finite"
    if "accuracy" in first["metrics"]:
        right = [[a == b for a, b in zip(given, truth, strict=True)] for given in answers]
        return paired_accuracy(right[0], right[1], resamples=resamples, seed=seed), None
    try:
        found = paired_bootstrap(answers[0], answers[1], truth, resamples=resamples, seed=seed)
    except EvaluationError as error:
        return None, f"not compared: {error}"
    return found, None


def _plain(found: PairedComparison | None) -> dict[str, Any]:
    """Return a comparison in JSON's own types, all None where there is none."""
    if found is None:
        return dict.fromkeys(field.name for field in fields(PairedComparison))
    return {**asdict(found), "interval": None if found.interval is None else list(found.interval)}
