"""Scores that are possible and look wrong: what is warned about, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.datasets.labels.score_warnings import find_warnings
from cliqa.datasets.labels.table import ScoreTable


def table(raw: Any, **columns: Any) -> ScoreTable:
    raw = np.asarray(raw, dtype=float)
    given: dict[str, Any] = {
        "images": tuple(f"photo{k}.jpg" for k in range(len(raw))),
        "std": None,
        "groups": None,
        "splits": None,
        "rows": tuple(range(2, 2 + len(raw))),
        "source": Path("f.csv"),
    }
    return ScoreTable(raw=raw, **{**given, **columns})


SPREAD = np.linspace(5, 95, 40)


def ladders(references: int = 10, levels: int = 5) -> tuple[tuple[str, ...], np.ndarray]:
    """Names as KADID-10k's, and scores that fall with the level."""
    pairs = [(r, n) for r in range(references) for n in range(1, levels + 1)]
    return tuple(f"I{r:02d}_03_{n:02d}.png" for r, n in pairs), np.array(
        [100 - 20 * n for _, n in pairs]
    )


def test_ordinary_scores_raise_no_warning() -> None:
    assert find_warnings(table(SPREAD), (0, 100), True) == []
    assert find_warnings(table(SPREAD), (0, 100), False) == []


@pytest.mark.parametrize(
    ("low", "high", "advised"),
    [(1.0, 5.0, "(1, 5)"), (0.1, 0.9, "(0, 1)"), (1.2, 9.5, "(1, 10)"), (40.1, 44.9, "(40, 45)")],
)
def test_a_range_far_too_wide_is_told_with_a_better_one(
    low: float, high: float, advised: str
) -> None:
    (warning,) = find_warnings(table(np.linspace(low, high, 20)), (0, 100), True)
    assert f"scores lie in {low:g}..{high:g}" in warning
    assert f"Set score_range={advised}" in warning
    given = tuple(float(end) for end in advised.strip("()").split(","))
    assert find_warnings(table(np.linspace(low, high, 20)), (given[0], given[1]), True) == []


def test_a_third_is_enough() -> None:
    assert find_warnings(table(np.linspace(0, 34, 9)), (0, 100), True) == []
    assert len(find_warnings(table(np.linspace(0, 33, 9)), (0, 100), True)) == 1


def test_equal_scores_are_told() -> None:
    (warning,) = find_warnings(table([3, 3, 3]), (1, 5), True)
    assert "f.csv: all 3 scores are 3." in warning
    (warning,) = find_warnings(table([3]), (1, 5), True)
    assert "the only score is 3." in warning


def test_splits_of_one_value_are_told() -> None:
    splits = ("train",) * 3 + ("val",) + ("test",) * 2
    (warning,) = find_warnings(table([1, 3, 5, 2, 4, 4], splits=splits), (1, 5), True)
    assert "one image in the split 'val', 2 equal scores in the split 'test'" in warning
    assert "fractions=" not in warning
    (warning,) = find_warnings(table([1, 3, 5, 2, 4, 4], splits=splits), (1, 5), True, seeded=True)
    assert "fractions=" in warning


@pytest.mark.parametrize(
    ("name", "direction", "inverted"),
    [
        ("dmos", True, True),
        ("DMOS_new", True, True),
        ("dmos", False, False),
        ("mos", False, True),
        ("MOS", True, False),
        ("mos_quality", False, True),
        ("score", False, False),
        ("moss", False, False),
    ],
)
def test_a_columns_name_tells_the_direction(name: str, direction: bool, inverted: bool) -> None:
    warnings = find_warnings(table(SPREAD, score_name=name), (0, 100), direction)
    assert len(warnings) == inverted
    if inverted:
        assert f"column '{name}'" in warnings[0]
        assert f"ScoreFile with higher_is_better={not direction}" in warnings[0]


@pytest.mark.parametrize("direction", [True, False])
@pytest.mark.parametrize("name", ["", "dmos", "mos"])
def test_levels_in_the_names_come_first(direction: bool, name: str) -> None:
    images, raw = ladders()
    labels = table(raw if direction else 100 - raw, images=images, score_name=name)
    assert find_warnings(labels, (0, 100), direction) == []
    (warning,) = find_warnings(labels, (0, 100), not direction)
    assert "images of a higher distortion level are rated better" in warning


def test_few_or_mixed_levels_tell_nothing() -> None:
    images, raw = ladders(references=9)
    assert find_warnings(table(raw, images=images), (0, 100), False) == []
    images, raw = ladders()
    mixed = np.random.default_rng(0).permutation(raw)
    assert find_warnings(table(mixed, images=images), (0, 100), False) == []
    numbered = tuple(f"holiday_{k}.jpg" for k in range(50))  # one series of photographs
    assert find_warnings(table(raw, images=numbered), (0, 100), False) == []


def test_references_among_the_images_tell_the_direction() -> None:
    images = tuple(f"{r}/{name}" for r in range(6) for name in (f"ref{r}.png", "a.png", "b.png"))
    groups = tuple(f"ref{r}.png" for r in range(6) for _ in range(3))
    raw = [90, 40, 20] * 6
    labels = table(raw, images=images, groups=groups)
    assert find_warnings(labels, (0, 100), True) == []
    (warning,) = find_warnings(labels, (0, 100), False)
    assert "the reference images are rated worse than their distorted versions" in warning
