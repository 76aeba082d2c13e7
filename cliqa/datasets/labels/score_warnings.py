"""Warnings about valid but suspicious scores: their range, their direction, a single value.

The direction is checked by the name of the score column, by distortion levels in the images' names
(KADID-10k, TID2013, CSIQ), or by reference images among the rated ones. Photographs without such
names give no hint.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from cliqa.datasets.labels.table import SPLITS, ScoreTable

LEAST_FILLED = 1 / 3
"""Scores that span less of their declared range are probably on another scale."""

USUAL_RANGES = ((0, 1), (1, 5), (0, 5), (1, 10), (0, 10), (0, 100))

LEAST_LADDERS = 10
"""Least number of series (one picture, rising distortion) to check the direction by."""

LEAST_REFERENCES = 5
"""Least number of rated reference images to check the direction by."""

LEAST_TREND = 0.3
"""Least Kendall's tau with the level of distortion that tells the direction."""

_LEVEL = re.compile(r"(?P<ladder>.+)[._](?P<level>\d{1,2})")
_LEVELS = range(3, 11)


def find_warnings(
    table: ScoreTable,
    score_range: tuple[float, float],
    higher_is_better: bool,
    seeded: bool = False,
) -> list[str]:
    """Return warnings that a user should read before training, each with the key to change.

    `score_range` and `higher_is_better` are as declared; `seeded` splits are drawn, rather than
    given.
    """
    found = [
        _one_value(table, seeded) or _narrow(table.raw, score_range),
        _inverted(table, higher_is_better),
    ]
    return [text for text in found if text is not None]


def _one_value(table: ScoreTable, seeded: bool) -> str | None:
    """Return a warning about splits with a single score: no correlation can be computed."""
    if len(table) and np.ptp(table.raw) == 0.0:
        many = f"all {len(table)} scores are" if len(table) > 1 else "the only score is"
        return (
            f"{table.source}: {many} {table.raw[0]:g}. Nothing can be learnt from one value: is "
            "labels='...' the right file, and its column of scores the right one?"
        )
    splits = np.asarray(table.splits or ())
    alike = {}
    for split in SPLITS:
        own = table.raw[splits == split] if splits.size else table.raw[:0]
        if own.size and np.ptp(own) == 0.0:
            alike[split] = "one image" if own.size == 1 else f"{own.size} equal scores"
    if not alike:
        return None
    where = ", ".join(f"{what} in the split '{split}'" for split, what in alike.items())
    other = ", or set other fractions=(train, val, test) or another seed" if seeded else ""
    return (
        f"{table.source}: {where}: no correlation is defined there. Add images of other scores"
        f"{other}."
    )


def _narrow(raw: np.ndarray, score_range: tuple[float, float]) -> str | None:
    """Return a warning that the scores span little of their declared range."""
    low, high = score_range
    spread = float(np.ptp(raw))
    share = spread / (high - low)
    if share >= LEAST_FILLED:
        return None
    usual = _usual_range(float(raw.min()), float(raw.max()), score_range)
    return (
        f"the scores lie in {raw.min():g}..{raw.max():g}, {share:.1%} of the declared range "
        f"{low:g}..{high:g}: the targets hardly differ. Set score_range=({usual[0]:g}, "
        f"{usual[1]:g}) in the data set's config if that is their scale."
    )


def _usual_range(least: float, most: float, declared: tuple[float, float]) -> tuple[float, float]:
    """Return the first usual scale that scores fill, or their own range in round numbers."""
    for low, high in USUAL_RANGES:
        inside = low <= least and most <= high and (low, high) != declared
        if inside and (most - least) >= LEAST_FILLED * (high - low):
            return low, high
    step = 10.0 ** math.floor(math.log10(most - least))
    return math.floor(least / step) * step, math.ceil(most / step) * step


def _inverted(table: ScoreTable, higher_is_better: bool) -> str | None:
    """Return a warning that the declared direction contradicts the file."""
    quality = table.raw if higher_is_better else -table.raw
    rises = _rise_with_level(table.images, quality)
    beaten = _beaten_references(table, quality)
    declared = f"higher_is_better={higher_is_better}"
    other = f"higher_is_better={not higher_is_better}"
    if rises is not None:
        why = "images of a higher distortion level are rated better"
        wrong = rises > 0.5
    elif beaten is not None:
        why = "the reference images are rated worse than their distorted versions"
        wrong = beaten > 0.8
    else:
        by_name = _direction_by_name(table.score_name)
        why = f"the column '{table.score_name}' is named after a score of which " + (
            "higher is better" if by_name else "lower is better"
        )
        wrong = by_name is not None and by_name != higher_is_better
    if not wrong:
        return None
    return (
        f"{table.source}: with {declared} {why}: the direction looks inverted. Read the file as a "
        f"ScoreFile with {other} if so."
    )


def direction_by_content(table: ScoreTable) -> tuple[bool, str] | None:
    """Return whether higher is better by what the images are, and the sign of it; None for none.

    Signs are levels of distortion in the images' names, and reference images among the rated ones.
    """
    rises = _rise_with_level(table.images, table.raw)
    if rises is not None and abs(rises) > LEAST_TREND:
        word = "lower" if rises <= 0 else "higher"
        return rises <= 0, f"images of a higher distortion level have {word} scores"
    beaten = _beaten_references(table, table.raw)
    if beaten is None or 0.2 <= beaten <= 0.8:
        return None
    word = "lower" if beaten < 0.5 else "higher"
    return beaten < 0.5, f"distorted versions have {word} scores than their reference images"


def _direction_by_name(name: str) -> bool | None:
    """Return whether a column's name means that higher is better; None if it gives no hint.

    >>> _direction_by_name("DMOS"), _direction_by_name("mos_quality"), _direction_by_name("score")
    (False, True, None)
    """
    words = re.findall(r"[a-z]+", name.lower())
    if "dmos" in words or "difference" in words:
        return False
    return True if "mos" in words else None


def _ladders(images: Sequence[str]) -> Iterator[tuple[list[int], list[int]]]:
    """Yield levels and indices of images whose names differ in a last number 1..L alone."""
    rungs: dict[str, dict[int, int]] = defaultdict(dict)
    for index, image in enumerate(images):
        found = _LEVEL.fullmatch(posixpath.splitext(image)[0])
        if found is not None:
            rungs[found["ladder"]][int(found["level"])] = index
    for own in rungs.values():
        first, count = min(own), len(own)
        if count in _LEVELS and first in (0, 1) and max(own) == first + count - 1:
            levels = sorted(own)
            yield levels, [own[level] for level in levels]


def _rise_with_level(images: Sequence[str], quality: np.ndarray) -> float | None:
    """Return Kendall's tau of quality and distortion level, -1..1; None without levels."""
    found = []
    for levels, indices in _ladders(images):
        own = quality[indices]
        later = np.sign(own[None, :] - own[:, None])[np.triu_indices(len(levels), 1)]
        found.append(float(later.mean()))
    return float(np.mean(found)) if len(found) >= LEAST_LADDERS else None


def _beaten_references(table: ScoreTable, quality: np.ndarray) -> float | None:
    """Return the share of distorted versions rated above their reference; None without any."""
    if table.groups is None:
        return None
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(table.groups):
        members[group].append(index)
    shares = []
    for group, own in members.items():
        name = posixpath.basename(group)
        place = next((i for i in own if posixpath.basename(table.images[i]) == name), None)
        if place is not None and len(own) > 2:
            others = quality[[i for i in own if i != place]]
            shares.append(float(np.mean(others > quality[place])))
    return float(np.mean(shares)) if len(shares) >= LEAST_REFERENCES else None
