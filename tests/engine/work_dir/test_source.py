"""The checkpoint that a run continues from."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.engine.work_dir.source import read_source
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.errors import CheckpointError


def test_it_knows_what_was_learnt(tiny_run: Path) -> None:
    first = read_source(tiny_run / "checkpoints" / "exp_0.pth")
    assert first.learnt == ["a"]
    assert not first.mid_step
    assert read_source(tiny_run / "checkpoints" / "last.pth").learnt == ["a", "b", "c"]


def test_it_knows_whether_an_experience_is_in_progress(tmp_path: Path) -> None:
    for done, inside in ((0, False), (2, True)):
        strategy = {"step_index": 1, "epochs_done": done}
        state = {"format": 3, "names": ["a", "b"], "next_step": 1, "strategy": strategy}
        save_checkpoint(tmp_path / "x.pth", state)
        assert read_source(tmp_path / "x.pth").mid_step == inside


def test_other_files_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "x.pth", {"format": 2, "strategy": {}})
    with pytest.raises(CheckpointError, match="not a checkpoint of a run of this version"):
        read_source(tmp_path / "x.pth")
