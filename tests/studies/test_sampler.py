"""The values that come next: the same after a stop, inside the space, and better with time."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cliqa.studies.sampler import draw
from cliqa.studies.search_space import read_space

pytest.importorskip("optuna")

SPACE = read_space(["a.s=log(1e-3, 1e3)", "a.n=int(1, 6)", "a.m=[x, y]"])


def goal(values: dict[str, Any]) -> float:
    """Return what is best at s = 10 and m = y."""
    return -((math.log10(values["a.s"]) - 1) ** 2) - (values["a.m"] == "x")


def search(count: int, seed: int) -> list[tuple[dict[str, Any], float | None]]:
    past: list[tuple[dict[str, Any], float | None]] = []
    for _ in range(count):
        values = draw(SPACE, past, seed)
        past.append((values, goal(values)))
    return past


def test_values_depend_on_the_past_and_the_seed_alone() -> None:
    past = search(7, seed=3)
    assert search(7, seed=3) == past
    assert draw(SPACE, past[:6], 3) == past[6][0]  # whatever was drawn in between
    assert search(7, seed=4) != past


def test_values_lie_in_the_space_and_differ() -> None:
    found = [values for values, _ in search(8, seed=0)]
    assert all(1e-3 <= values["a.s"] <= 1e3 and values["a.n"] in range(1, 7) for values in found)
    assert {values["a.m"] for values in found} == {"x", "y"}
    assert len({values["a.s"] for values in found}) == 8


def test_it_learns_from_what_was_reached() -> None:
    reached = [value for _, value in search(12, seed=1) if value is not None]
    assert sum(reached[-5:]) > sum(reached[:5])


def test_trials_that_are_running_or_failed_are_not_drawn_again() -> None:
    past: list[tuple[dict[str, Any], float | None]] = [(v, None) for v, _ in search(3, seed=0)]
    assert draw(SPACE, past, 0) not in [values for values, _ in past]
