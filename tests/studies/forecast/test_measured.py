"""Configs that are measured: with their data, and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.engine.check import check_config
from cliqa.engine.loggers.forecast import StepWork
from cliqa.studies.forecast import stand_in
from cliqa.studies.forecast.measured import measure

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliqa.engine.trial.timing.MOST", 3)


def test_a_config_is_measured_and_nothing_is_written(
    tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_config["cl_strategy"]["train_epochs"] = 5
    found = measure(check_config(tiny_config), CPU, imports=100.0)
    assert [step.epochs for step in found.work] == [5, 5, 5]
    assert (found.real, found.kept, found.checkpoints) == (True, "ram", 5)
    assert found.timings.step > 0
    assert found.start > 100
    assert found.timings.state > 1000
    assert found.memory > found.timings.memory > 10**7
    assert list(tmp_path.iterdir()) == []


def test_missing_data_are_stood_in_for(
    tiny_config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "SIZE", (32, 24))
    monkeypatch.setattr(stand_in, "IMAGES", 120)
    tiny_config["scenario"].update(
        dataset_root="nowhere",
        datasets=[{"type": "KonIQ10k", "root": "koniq"}, {"type": "AVA", "root": "ava"}],
    )
    tiny_config["checkpoint_config"] = {"interval": 1, "keep": 3}
    tiny_config["num_workers"] = "auto"
    epochs = tiny_config["cl_strategy"]["train_epochs"]
    found = measure(check_config(tiny_config), CPU)
    tested = 2015 + 20_000
    assert list(found.work) == [
        StepWork(epochs, 7058, 1000, tested),
        StepWork(epochs, 223_754, 11_776, tested),
    ]
    assert (found.real, found.checkpoints) == (False, 2 + 2 + 3)
    assert found.workers >= 1
    assert found.kept_bytes > 200_000 * 100
