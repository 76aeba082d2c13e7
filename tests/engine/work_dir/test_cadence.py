"""How often a run's state is written."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.engine.work_dir.cadence import Cadence, cadence_of


@pytest.mark.parametrize(
    ("every", "epochs", "experiences"),
    [
        (None, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
        (2, [2, 4, 5], [1, 2, 3, 4, 5]),
        ({"epochs": 4}, [4, 5], [1, 2, 3, 4, 5]),
        ({"experiences": 2}, [], [2, 4, 5]),
    ],
)
def test_the_last_one_is_always_due(every: Any, epochs: list[int], experiences: list[int]) -> None:
    cadence = cadence_of({"checkpoint_config": {"every": every}})
    numbers = range(1, 6)
    assert [n for n in numbers if cadence.after_epoch(n, last=n == 5)] == epochs
    assert [n for n in numbers if cadence.after_experience(n, last=n == 5)] == experiences


def test_a_user_is_told_what_a_kill_loses() -> None:
    assert cadence_of({}).loss() == ""
    assert (
        Cadence(0, 3).loss() == "a checkpoint every 3 experiences: a kill loses up to 3 experiences"
    )
