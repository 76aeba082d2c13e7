"""Measures of an online stream, at any time of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Row = Mapping[str, Any]


class AnytimeScores(NamedTuple):
    """The scores of a model during an online stream.

    Attributes:
        images: How many images have arrived in all.
        step: The experience that is being learnt.
        scores: The measure by data set.
    """

    images: int
    step: int
    scores: Mapping[str, float | None]


def anytime_scores(rows: Sequence[Row], measure: str) -> list[AnytimeScores]:
    """Return the scores of every evaluation, in time: within experiences and at their ends.

    Args:
        rows: Those of ``metrics.jsonl``. Of an epoch they have ``images``, how many of the
            experience have arrived, and ``anytime``, the measure by data set, if it was evaluated.
        measure: ``"srcc"`` or ``"accuracy"``.
    """
    before, found = 0, []
    epochs = [row for row in rows if row["kind"] == "epoch" and "images" in row]
    for step in sorted({row["experience"] for row in epochs}):
        own = [row for row in epochs if row["experience"] == step]
        inside = [row for row in own if "anytime" in row]
        found += [AnytimeScores(before + r["images"], step, r["anytime"]) for r in inside]
        before += own[-1]["images"]
        ends = [row for row in rows if row["kind"] == "eval" and row["experience"] == step]
        if ends:
            scores = {row["dataset"]: row[measure] for row in ends}
            found.append(AnytimeScores(before, step, scores))
    return found


def anytime_points(
    rows: Sequence[Row], names: Sequence[str], measure: str
) -> list[tuple[int, float | None]]:
    """Return the model's mean measure over what was seen so far, against the images seen.

    Args:
        rows: As `anytime_scores`.
        names: The experiences.
        measure: ``"srcc"`` or ``"accuracy"``.

    Returns:
        (images that have arrived in all, mean over the experiences so far, the current one too;
        None where one of them is not defined).
    """
    return [
        (point.images, _mean(point.scores, names[: point.step + 1]))
        for point in anytime_scores(rows, measure)
    ]


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
