"""The scale and the direction of a label file's scores, guessed where they are plain."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from cliqa.datasets.labels.score_warnings import (
    LEAST_FILLED,
    USUAL_RANGES,
    direction_by_content,
)
from cliqa.datasets.labels.table import ScoreTable, exact
from cliqa.datasets.own.asked import OpenQuestion
from cliqa.utils.errors import DatasetError

RIVAL = 0.85
"""A scale is plain if scores fill any other one less than this share of what they fill of it: 1..5
is (0..5: 0.8), 1..10 is not (0..10: 0.9)."""

HIGHER = frozenset({"mos", "score", "scores", "quality", "rating", "ratings", "opinion"})
LOWER = frozenset({"dmos", "difference", "distortion", "degradation", "impairment"})
"""Words in a column's name that tell its direction."""


def guess_range(
    scores: np.ndarray, where: object, place: int
) -> tuple[tuple[float, float], list[tuple[float, float]]]:
    """Return the scale of scores (N,), and others that hold them.

    Args:
        scores: Finite numbers in the file's units.
        where: The label file.
        place: The data set's place in the stream.

    Raises:
        DatasetError: There is no score.
        OpenQuestion: No usual scale fits, or two fit alike.
    """
    if not scores.size:
        raise DatasetError(f"{where}: no score is a finite number. Fill them in.")
    least, most = float(scores.min()), float(scores.max())
    fitting = sorted(
        (
            (low, high)
            for low, high in map(_floats, USUAL_RANGES)
            if low <= least and most <= high and most - least >= LEAST_FILLED * (high - low)
        ),
        key=lambda ends: ends[1] - ends[0],
    )
    if fitting:
        best, *others = fitting
        rivals = [one for one in others if _width(best) > RIVAL * _width(one)]
        if not rivals:
            return best, others
        asked, why = [best, *rivals], f"{_shown(best)} or {' or '.join(map(_shown, rivals))}"
    else:
        asked = [_round(least, most), *(_containing(least, most))]
        why = "no usual scale fits: 0..1, 1..5, 0..5, 1..10, 0..10, 0..100"
    raise OpenQuestion(
        where,
        f"scores lie in {exact(least)}..{exact(most)}: which is their scale, worst to best or best "
        f"to worst ({why})?",
        "score_range",
        [f'"({exact(low)},{exact(high)})"' for low, high in dict.fromkeys(asked)],
        place,
    )


def _floats(ends: Sequence[float]) -> tuple[float, float]:
    low, high = ends
    return float(low), float(high)


def _width(ends: tuple[float, float]) -> float:
    return ends[1] - ends[0]


def _shown(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g}..{ends[1]:g}"


def _round(least: float, most: float) -> tuple[float, float]:
    """Return the scores' own range in round numbers."""
    if most - least <= 1e-9 * max(abs(least), abs(most)):
        margin = max(1.0, abs(most) / 1e9)
        return math.floor(least) - margin, math.ceil(most) + margin
    step = 10.0 ** math.floor(math.log10((most - least) / 2))
    return math.floor(least / step) * step, math.ceil(most / step) * step


def _containing(least: float, most: float) -> list[tuple[float, float]]:
    """Return the usual scales that hold the scores, though they fill little of them."""
    return [_floats(ends) for ends in USUAL_RANGES if ends[0] <= least and most <= ends[1]][:2]


def guess_direction(table: ScoreTable, place: int) -> tuple[bool, str]:
    """Return whether a higher score is better, and by what one sees it.

    Levels of distortion in the images' names, or reference images among the rated ones, count as
    much as the column's name; where they contradict each other nothing is guessed.

    Raises:
        OpenQuestion: Nothing tells it, or two signs contradict each other.
    """
    name = table.score_name
    words = set(re.findall(r"[a-z]+", name.lower()))
    by_name = False if words & LOWER else True if words & HIGHER else None
    seen = direction_by_content(table)
    by_content, why = seen if seen is not None else (None, "")
    if by_name is not None and by_content in (None, by_name):
        return by_name, f"by the name '{name}'"
    if by_name is None and by_content is not None:
        return by_content, f"as {why}"
    question = f"is a higher '{name}' better?"
    if by_content is not None:
        also = "higher is better" if by_name else "lower is better"
        question += f" By its name {also}, but {why}."
    answers = ["True", "False"]
    raise OpenQuestion(table.source, question, "higher_is_better", answers, place)
