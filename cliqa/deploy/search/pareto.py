"""The results of recipes, their Pareto front, and the best one within a budget."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cliqa.deploy.search.recipes import Recipe
from cliqa.utils.errors import ConfigError

TARGETS = ("size", "latency", "quality")


@dataclass(frozen=True)
class RecipeResult:
    """The result of one recipe.

    Attributes:
        recipe: The recipe.
        quality: SRCC or accuracy on the images that the choice is made by; None where it failed.
        test_quality: The same on the test sets, which the choice does not look at.
        drop: How much of `quality` is lost against the baseline; below 0 for a gain.
        bytes: Size of its file.
        smaller: The baseline's bytes over its own.
        cpu_ms: CPU time of a pass over the batch, in milliseconds: the baseline's median, which is
            measured once, over `faster`. So the times of all rows agree with their ratios, though
            the machine's speed changes while they are measured.
        faster: The baseline's median CPU time over its own, measured in turns with it.
        file: Where it lies.
        note: Why it failed or was skipped, or another remark.
    """

    recipe: Recipe
    quality: float | None = None
    test_quality: float | None = None
    drop: float | None = None
    bytes: int | None = None
    smaller: float | None = None
    cpu_ms: float | None = None
    faster: float | None = None
    file: str | None = None
    note: str = ""

    @property
    def valid(self) -> bool:
        """Whether it was measured."""
        return self.quality is not None

    def to_row(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> RecipeResult:
        """Return what `to_row` gave."""
        return cls(**{**row, "recipe": Recipe(**row["recipe"])})

    def costs(self) -> tuple[float, float, float]:
        """Return (bytes, time over the baseline's, lost quality): less is better in each.

        Raises:
            ConfigError: It was not measured.
        """
        if self.bytes is None or self.faster is None or self.drop is None:
            raise ConfigError(f"{self.recipe}: it was not measured.")
        return float(self.bytes), 1 / self.faster, self.drop


def pareto_front(rows: Sequence[RecipeResult]) -> list[RecipeResult]:
    """Return the measured rows that no other one beats: none is as good in all and better in one.

    Returns:
        In their order; of equal ones the first.
    """
    front: list[RecipeResult] = []
    valid = [row for row in rows if row.valid]
    for row in valid:
        beaten = any(_beats(other.costs(), row.costs()) for other in valid)
        if not beaten and row.costs() not in [kept.costs() for kept in front]:
            front.append(row)
    return front


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Return whether costs are nowhere higher and somewhere lower."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


@dataclass(frozen=True)
class Budget:
    """Limits of a deployed model; None for no limit.

    Attributes:
        max_drop: Quality that may be lost, in SRCC or accuracy.
        max_mib: Size of the file, in MiB.
        max_ms: CPU time of a pass over the batch, in milliseconds.
        min_smaller: How many times smaller than the baseline at least.
        min_faster: How many times faster than the baseline at least.

    Raises:
        ConfigError: A limit is negative, zero where that cannot be met, or not finite.
    """

    max_drop: float | None = None
    max_mib: float | None = None
    max_ms: float | None = None
    min_smaller: float | None = None
    min_faster: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = 0 if name == "max_drop" else math.ulp(0.0)
            if value is not None and not (math.isfinite(value) and value >= least):
                words = "at least 0" if name == "max_drop" else "above 0"
                raise ConfigError(f"budget: {name} must be {words}, got {value!r}.")

    def misses(self, row: RecipeResult) -> list[str]:
        """Return which limits a measured row breaks, in words."""
        mib = None if row.bytes is None else row.bytes / 2**20
        broken = []
        for exceeds, value, limit, text in (
            (operator.gt, row.drop, self.max_drop, "loses {:.4f} (at most {:g})"),
            (operator.gt, mib, self.max_mib, "has {:.2f} MiB (at most {:g})"),
            (operator.gt, row.cpu_ms, self.max_ms, "takes {:.2f} ms (at most {:g})"),
            (operator.lt, row.smaller, self.min_smaller, "is {:.2f} times smaller (at least {:g})"),
            (operator.lt, row.faster, self.min_faster, "is {:.2f} times faster (at least {:g})"),
        ):
            if limit is not None and value is not None and exceeds(value, limit):
                broken.append(text.format(value, limit))
        return broken


def choose(rows: Sequence[RecipeResult], target: str, budget: Budget) -> RecipeResult | None:
    """Return the best row that keeps to a budget, None where none does.

    Args:
        rows: All rows.
        target: The best one has the smallest file (``"size"``), the least time against the
            baseline (``"latency"``) or the least lost quality (``"quality"``). Of equal ones the
            better one in the other two is taken.
        budget: The limits.

    Raises:
        ConfigError: `target` is unknown.
    """
    first = {"size": 0, "latency": 1, "quality": 2}.get(target)
    if first is None:
        raise ConfigError(f"target must be 'size', 'latency' or 'quality', got {target!r}.")
    fitting = [row for row in rows if row.valid and not budget.misses(row)]

    def rank(row: RecipeResult) -> tuple[float, ...]:
        costs = row.costs()
        return (costs[first], costs[2], costs[1], costs[0])

    return min(fitting, key=rank, default=None)
