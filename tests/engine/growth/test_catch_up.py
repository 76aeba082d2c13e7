"""The evaluations that come late."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Config = dict[str, Any]
Work = Callable[..., dict[str, Any]]


def test_a_model_whose_checkpoint_is_gone_is_not_evaluated(
    two: Path, of_sets: Callable[..., Config], work: Work
) -> None:
    (two / "checkpoints" / "exp_0.pth").unlink()
    grown = work(of_sets(3), two, extend=True)
    cells = [[cell is None for cell in row] for row in grown["matrix"]["srcc"]]
    assert cells == [[False, False, True], [False] * 3, [False] * 3]
    notes = [text for text in grown["warnings"] if "is gone" in text]
    assert len(notes) == 1
    assert notes[0].startswith("after step 1 on c: not evaluated, as ")
    assert work(of_sets(3), two, resume="auto")["warnings"] == grown["warnings"]


def test_loggers_are_told_of_what_is_new_alone(
    two: Path, of_sets: Callable[..., Config], work: Work
) -> None:
    told = {"loggers": [{"type": "CSVLogger"}], "metrics": [{"type": "quality_metrics"}]}
    work({**of_sets(3), **told}, two, extend=True)
    rows = (two / "metrics.csv").read_text().splitlines()[1:]
    assert rows
    assert set(Counter(row.split(",")[1] for row in rows).values()) == {1}
