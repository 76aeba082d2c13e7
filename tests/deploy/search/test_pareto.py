"""The front against its definition by pairs; budgets; choices."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from cliqa.deploy.search.pareto import Budget, RecipeResult, choose, pareto_front
from cliqa.deploy.search.recipes import Recipe
from cliqa.utils.errors import ConfigError


def row(size: int, faster: float, drop: float, pruning: float = 0.0) -> RecipeResult:
    return RecipeResult(
        Recipe(pruning),
        quality=0.9 - drop,
        drop=drop,
        bytes=size * 2**20,
        smaller=10 / size,
        cpu_ms=10 / faster,
        faster=faster,
    )


def test_the_front_is_what_no_other_row_beats() -> None:
    draw = random.Random(0)
    rows = [
        row(draw.randint(1, 6), draw.randint(1, 6), draw.randint(0, 5) / 100, k / 100)
        for k in range(60)
    ]
    front = pareto_front(rows)
    assert 0 < len(front) < len(rows)
    for one in rows:
        size, slow, lost = one.costs()
        beaten = any(
            all(a <= b for a, b in zip(other.costs(), (size, slow, lost), strict=True))
            and other.costs() != one.costs()
            for other in rows
        )
        assert (one.costs() in [kept.costs() for kept in front]) is not beaten


def test_of_equal_rows_the_first_stays_and_failures_do_not_count() -> None:
    rows = [row(2, 1, 0.0), row(2, 1, 0.0, 0.5), RecipeResult(Recipe(0.3), note="failed: no")]
    assert pareto_front(rows) == rows[:1]


@pytest.mark.parametrize(
    ("target", "best"), [("size", (1, 2, 0.02)), ("latency", (3, 5, 0.01)), ("quality", (10, 1, 0))]
)
def test_the_best_in_the_target_within_the_budget_is_chosen(
    target: str, best: tuple[int, int, float]
) -> None:
    rows = [row(10, 1, 0.0), row(3, 5, 0.01, 0.1), row(1, 2, 0.02, 0.2), row(0.5, 9, 0.3, 0.3)]  # type: ignore[arg-type]
    chosen = choose(rows, target, Budget(max_drop=0.02))
    assert chosen is not None
    assert (chosen.bytes, chosen.faster, chosen.drop) == (best[0] * 2**20, *best[1:])


def test_of_two_equally_small_ones_the_better_is_chosen() -> None:
    rows = [row(1, 2, 0.02), row(1, 2, 0.01, 0.1), row(1, 3, 0.01, 0.2)]
    assert choose(rows, "size", Budget()) == rows[2]
    assert choose(rows[:1] + [row(1, 9, 0.03)], "size", Budget()) == rows[0]  # quality before time


def test_the_least_time_is_the_largest_ratio_and_no_reading_of_a_busy_moment() -> None:
    quick = replace(row(1, 5, 0.0), cpu_ms=90.0)  # its baseline took 450 ms then
    assert choose([row(1, 4, 0.0), quick], "latency", Budget()) == quick


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"max_drop": 0.01}, "loses 0.0200 (at most 0.01)"),
        ({"max_mib": 1.5}, "has 2.00 MiB (at most 1.5)"),
        ({"max_ms": 2}, "takes 2.50 ms (at most 2)"),
        ({"min_smaller": 6}, "is 5.00 times smaller (at least 6)"),
        ({"min_faster": 5}, "is 4.00 times faster (at least 5)"),
    ],
)
def test_a_broken_limit_is_told_and_an_exact_one_is_kept(
    limit: dict[str, float], words: str
) -> None:
    measured = row(2, 4, 0.02)
    assert Budget(**limit).misses(measured) == [words]
    assert choose([measured], "size", Budget(**limit)) is None
    exact = {"max_drop": 0.02, "max_mib": 2, "max_ms": 2.5, "min_smaller": 5, "min_faster": 4}
    assert Budget(**exact).misses(measured) == []


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ({"max_drop": -0.1}, "max_drop must be at least 0, got -0.1"),
        ({"max_mib": 0}, "max_mib must be above 0, got 0"),
        ({"min_faster": float("nan")}, "min_faster must be above 0, got nan"),
    ],
)
def test_an_impossible_limit_is_refused(limit: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Budget(**limit)


def test_an_unknown_target_is_refused() -> None:
    with pytest.raises(ConfigError, match="'size', 'latency' or 'quality', got 'speed'"):
        choose([], "speed", Budget())


def test_what_was_not_measured_has_no_costs() -> None:
    with pytest.raises(ConfigError, match="onnxruntime fp32: it was not measured"):
        RecipeResult(Recipe()).costs()


def test_rows_survive_a_file() -> None:
    measured = row(2, 4, 0.02, 0.3)
    assert RecipeResult.from_row(measured.to_row()) == measured
