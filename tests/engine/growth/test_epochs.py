"""More epochs of the experience that was learnt last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.utils.errors import CheckpointError

Config = dict[str, Any]
Work = Callable[..., dict[str, Any]]


def epochs_of(folder: Path) -> list[tuple[str, int]]:
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(row["name"], row["epoch"]) for row in rows if row["kind"] == "epoch"]


def test_they_continue_where_the_last_one_ended(
    tmp_path: Path,
    of_sets: Callable[..., Config],
    work: Work,
    assert_equal_runs: Callable[[Path, Path], None],
) -> None:
    plain = {"scheduler": None}
    work(of_sets(1, train_epochs=3, **plain), tmp_path / "whole")
    work(of_sets(1, train_epochs=2, **plain), tmp_path / "grown")
    (tmp_path / "grown" / "checkpoints" / "exp_0.pth").unlink()  # which it does not need
    work(of_sets(1, train_epochs=3, **plain), tmp_path / "grown", extend=True)
    assert_equal_runs(tmp_path / "whole", tmp_path / "grown")


def test_a_schedule_over_the_epochs_starts_the_experience_anew(
    two: Path, tmp_path: Path, of_sets: Callable[..., Config], work: Work
) -> None:
    work(of_sets(2, train_epochs=2), two, extend=True)
    assert epochs_of(two) == [("a", 1), ("b", 1), ("b", 2)]
    (two / "checkpoints" / "exp_0.pth").unlink()
    with pytest.raises(CheckpointError, match=r"CosineAnnealingLR spans all .*exp_0.pth is gone"):
        work(of_sets(2, train_epochs=3), two, extend=True)
    work(of_sets(1), tmp_path / "one")
    with pytest.raises(CheckpointError, match="it is the first experience: train without --extend"):
        work(of_sets(1, train_epochs=3), tmp_path / "one", extend=True)


@pytest.mark.slow
def test_what_counts_on_the_epochs_starts_the_experience_anew(
    tmp_path: Path, of_sets: Callable[..., Config], work: Work
) -> None:
    pruning = {"type": "ChannelPruning", "ratio": 0.3, "round_to": 1, "recover_epochs": 1}
    own = {"plugins": [pruning], "scheduler": None}
    work(of_sets(1, train_epochs=2, **own), tmp_path)
    assert not (tmp_path / "checkpoints" / "last_epoch.pth").exists()
    with pytest.raises(CheckpointError, match="ChannelPruning spans all epochs of an experience"):
        work(of_sets(1, train_epochs=3, **own), tmp_path, extend=True)
