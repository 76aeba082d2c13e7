"""A run of several processes: one writes, all learn the same, and any number goes on with it."""

from __future__ import annotations

import copy
import json
import os
import signal
import time
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cliqa.engine.train import train
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import ConfigError
from cliqa.utils.processes import faults, group
from cliqa.utils.processes.group import rank
from tests.conftest import same
from tests.processes import in_processes

Config = dict[str, Any]


@pytest.fixture
def quick(tiny_config: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return a config of EWC with a validated best epoch, without figures."""
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    section = tiny_config["cl_strategy"]
    section.pop("mem_size")
    section |= {"type": "EWC", "strength": 1.0, "train_epochs": 2, "keep_best": True}
    section["optimizer"] = {"type": "SGD", "lr": 0.01}  # AdamW makes whole steps of rounding
    return tiny_config


def run_in(count: int, config: Config, folder: Path, **options: Any) -> list[dict[str, Any]]:
    """Train a config in so many processes, and return what each returns."""

    def work() -> dict[str, Any]:
        own = copy.deepcopy(config)
        return train(own, config_file="config/x.py", work_dir=folder, device="cpu", **options)

    return in_processes(count, work) if count > 1 else [work()]


def files_of(folder: Path) -> set[str]:
    """Return the names of a run's files."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def predictions(folder: Path, step: int) -> dict[str, np.ndarray]:
    """Return what a run's model predicts after a step, with the targets and the images."""
    with np.load(folder / "predictions" / f"after_{step}.npz", allow_pickle=False) as found:
        return dict(found)


def state(folder: Path) -> dict[str, Any]:
    """Return the strategy's state in a run's last checkpoint."""
    found: dict[str, Any] = load_checkpoint(folder / "checkpoints" / "last.pth")["strategy"]
    return found


def test_two_processes_leave_the_files_of_one(quick: Config, tmp_path: Path) -> None:
    for count in (1, 2):
        found = run_in(count, quick, tmp_path / str(count))
        assert [part["status"] for part in found] == ["finished"] * count
    one, two = tmp_path / "1", tmp_path / "2"
    assert files_of(one) == files_of(two)
    assert json.loads((two / "run.json").read_text())["processes"] == 2
    for step in range(3):
        alone, both = predictions(one, step), predictions(two, step)
        assert alone.keys() == both.keys()
        for name, values in alone.items():
            assert len(values) == len(both[name])
            if name.endswith(("target", "image")):
                assert (values == both[name]).all(), name
            elif values.dtype.kind == "f":
                assert np.allclose(values, both[name], atol=1e-3), name
    rows = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (one, two)]
    assert len(rows[0]) == len(rows[1])
    assert json.loads((two / "results.json").read_text()) == found[0]


@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1), (2, 2)])
def test_another_number_goes_on(first: int, then: int, quick: Config, tmp_path: Path) -> None:
    folder = tmp_path / "stopped"
    run_in(first, quick, folder, stop_after=1)
    run_in(then, quick, folder, resume="auto")
    run_in(2, quick, tmp_path / "whole")
    found, whole = state(folder), state(tmp_path / "whole")
    if first == then:
        assert same(found, whole)  # to the bit
    for name, tensor in whole["model"].items():
        assert torch.allclose(found["model"][name], tensor, atol=1e-4), name


def test_a_lost_process_ends_the_others(quick: Config, tmp_path: Path) -> None:
    quick["cl_strategy"]["train_epochs"] = 1000
    told = tmp_path / "told"

    def work() -> str | None:
        if rank() == 1:
            os.setsid()
            signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
            signal.setitimer(signal.ITIMER_REAL, 2.0)
        started = time.monotonic()
        try:
            train(quick, config_file="x.py", work_dir=tmp_path / "run", device="cpu")
        except RuntimeError as error:
            told.write_text(f"{faults.lost_process(error)} {faults.may_speak()}")
            assert time.monotonic() - started < 30
        return None

    with pytest.raises(AssertionError):  # of the statuses: one was killed
        in_processes(2, work)
    assert told.read_text() == "another process of the run has stopped; continue with --resume True"


REFUSED: dict[str, tuple[Config, str]] = {
    "Avalanche's": (
        {"plugins": [{"type": "avalanche.EWCPlugin", "ewc_lambda": 1.0}]},
        r"EWCPlugin \(of avalanche\) has not been made for several processes, and this run has 2 "
        r"processes\. Use this package's own method",
    ),
    "a subclass": (
        {"type": "MIR", "mem_size": 9, "strength": None},
        r"MIR has not been made for several processes.*in a single process, without torchrun\.",
    ),
    "a small batch": (
        {"train_mb_size": 1},
        r"train_mb_size=1: a batch is shared by 2 processes, .* Set it to 2 or more",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_was_not_made_for_it_is_refused(
    case: str, quick: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, message = REFUSED[case]
    section = quick["cl_strategy"] | changes
    quick["cl_strategy"] = {key: value for key, value in section.items() if value is not None}
    monkeypatch.setattr("cliqa.training.loop.parallel.check.size", lambda: 2)
    with pytest.raises(Exception, match=message):
        train(quick, config_file="x.py", work_dir=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_normalisation_by_the_batch_in_evaluations_is_refused(
    quick: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = nn.BatchNorm2d.__init__
    plain = partialmethod(real, track_running_stats=False)
    monkeypatch.setattr(nn.BatchNorm2d, "__init__", plain)
    monkeypatch.setattr("cliqa.training.loop.parallel.check.size", lambda: 2)
    message = r"model: backbone\.\S+ normalises by the batch in evaluations too.* 2 processes share"
    with pytest.raises(ConfigError, match=message):
        train(quick, config_file="x.py", work_dir=tmp_path / "run", device="cpu")


def test_the_main_process_fails_for_all(tmp_path: Path) -> None:
    def work() -> str:
        try:
            with group.main_first():
                if group.is_main():
                    raise ValueError("the disk is full")
        except (ValueError, group.OtherProcessError) as error:
            return str(error)
        return "nothing"

    assert in_processes(2, work) == [
        "the disk is full",
        "the main process has failed; continue with --resume",
    ]
