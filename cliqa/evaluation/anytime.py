"""Measures of an online stream, at any time of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Row = Mapping[str, Any]


def anytime_points(
    rows: Sequence[Row], names: Sequence[str], measure: str
) -> list[tuple[int, float | None]]:
    """Return the model's mean measure over what was seen so far, against the images seen.

    Args:
        rows: Those of ``metrics.jsonl``. Of an epoch they have ``images``, how many of the
            experience have arrived, and ``anytime``, the measure by data set, if it was evaluated.
        names: The experiences.
        measure: ``"srcc"`` or ``"accuracy"``.

    Returns:
        (images that have arrived in all, mean over the experiences so far, the current one too;
        None where one of them is not defined).
    """
    before, points = 0, []
    epochs = [row for row in rows if row["kind"] == "epoch"]
    evaluations = [row for row in rows if row["kind"] == "eval"]
    for step in sorted({row["experience"] for row in epochs if "images" in row}):
        own = [row for row in epochs if row["experience"] == step]
        scores = {row["dataset"]: row[measure] for row in evaluations if row["experience"] == step}
        seen = names[: step + 1]
        inside = [row for row in own if "anytime" in row]
        points += [(before + row["images"], _mean(row["anytime"], seen)) for row in inside]
        before += own[-1]["images"]
        if scores:
            points.append((before, _mean(scores, seen)))
    return points


def anytime_area(points: Sequence[tuple[int, float | None]]) -> float | None:
    """Return the area under the curve of a measure over the images seen, as a mean over them.

    ``sum_i f(n_i) (n_i - n_{i-1}) / n_last``: A_AUC (Koh et al., ICLR 2022); with evaluations at
    equal distances the average anytime accuracy (Caccia et al., 2020). None where a value is not
    defined, or there is none.

    >>> anytime_area([(50, 0.2), (100, 0.6)])
    0.4
    """
    if not points or any(value is None for _, value in points):
        return None
    images = np.array([count for count, _ in points], dtype=float)
    values = np.array([value for _, value in points], dtype=float)
    return float(np.average(values, weights=np.diff(images, prepend=0.0)))


def anytime_summary(
    rows: Sequence[Row], names: Sequence[str], measure: str
) -> dict[str, float | None]:
    """Return the summary of an online run; empty for one that was not evaluated within."""
    if not any("anytime" in row for row in rows):
        return {}
    return {"aaa": anytime_area(anytime_points(rows, names, measure))}


def _mean(scores: Mapping[str, float | None], names: Sequence[str]) -> float | None:
    """Return the mean over data sets, None where one of them is not defined."""
    values = [scores.get(name) for name in names]
    return None if None in values else float(np.mean([v for v in values if v is not None]))
