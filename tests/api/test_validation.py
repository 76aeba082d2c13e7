"""A run measured on the validation data of its first experiences."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from scipy.stats import spearmanr

from cliqa.api.validation import validated
from cliqa.engine.build import build
from cliqa.engine.work_dir.checkpoints import load_run
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import EvaluationError

CPU = torch.device("cpu")


def test_it_is_the_srcc_of_the_first_sets_own_validation_data(tiny_run: Path) -> None:
    before = sorted(tiny_run.iterdir())
    found = validated(tiny_run, 2, CPU)
    parts = build(load_run(tiny_run / "checkpoints" / "last.pth")["config"], CPU)
    parts.model.load_state_dict(
        load_checkpoint(tiny_run / "checkpoints" / "last.pth")["strategy"]["model"]
    )
    for index, name in enumerate("ab"):
        data = parts.benchmark.validation(index)
        assert data is not None
        expected = spearmanr(*parts.strategy.predict(data)).statistic
        assert found[name] == pytest.approx(expected, abs=1e-9)
    assert found.keys() == {"a", "b"}
    assert sorted(tiny_run.iterdir()) == before  # nothing is written


def test_what_is_not_defined_is_an_error(tiny_run: Path, tmp_path: Path) -> None:
    run = shutil.copytree(tiny_run, tmp_path / "run")
    file = run / "checkpoints" / "exp_1.pth"
    state = load_checkpoint(file)
    for name, value in state["strategy"]["model"].items():
        if name.startswith("head."):
            value.zero_()
    file.unlink()
    save_checkpoint(file, state)
    with pytest.raises(EvaluationError, match=r"srcc on a: .*constant"):
        validated(run, 2, CPU)
