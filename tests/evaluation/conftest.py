"""Results of runs that were never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cliqa.evaluation.records.build_results import build_results
from cliqa.evaluation.records.results import Results


@pytest.fixture
def make_results() -> Callable[..., Results]:
    """Return a function that gives results over two data sets that end at given scores."""

    def make(
        final: tuple[float | None, float | None],
        first: float = 0.9,
        *,
        joint: bool = False,
        seconds: float | None = 10.0,
        kept: int | None = None,
        measure: str = "srcc",
        names: tuple[str, str] = ("a", "b"),
        task_il: float | None = None,
    ) -> Results:
        table = [final] if joint else [(first, 0.1), final]
        rows: list[dict[str, Any]] = [
            {"experience": t, "dataset": name, measure: value}
            for t, row in enumerate(table)
            for name, value in zip(names, row, strict=True)
        ]
        extra = {} if task_il is None else {"average_accuracy_task_il": task_il}
        return build_results(
            rows,
            experiences=names,
            datasets=names,
            status="finished",
            seed=0,
            config="config/x.py",
            joint=joint,
            seconds=None if seconds is None else {"train": [seconds], "eval": [1.0]},
            memory=None if kept is None else {"peak": [1000, 1500], "kept": [kept, kept]},
            extra_summary=extra,
        )

    return make
