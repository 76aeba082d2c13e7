"""Seconds and bytes of a run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cliqa.engine import costs
from cliqa.engine.costs import Costs


def strategy(*sizes: int) -> Any:
    """Return what a step leaves: a model of the first size, plugins that keep the others."""
    weights, *kept = (torch.zeros(size) for size in sizes)
    state = {"model": {"w": weights}, "plugins": {"0.X": kept}, "optimizer": torch.zeros(1000)}
    model = torch.nn.Linear(max(1, len(kept)), 2)  # its bias is frozen
    model.bias.requires_grad_(False)
    return SimpleNamespace(device=torch.device("cpu"), state_dict=lambda: state, model=model)


def test_each_step_has_its_time_and_what_is_kept_after_it() -> None:
    counted = Costs()
    for seconds in (1.0, 2.0):
        counted.add_epoch(seconds, seconds / 2)
    counted.finish_step(strategy(10), 0.5)
    counted.add_epoch(4.0, 1.0)
    counted.finish_step(strategy(10, 10, 5), 0.25)
    assert counted.seconds == {"train": [3.0, 4.0], "eval": [0.5, 0.25], "train_cpu": [1.5, 1.0]}
    assert counted.memory["kept"] == [40, 100]
    assert counted.parameters == {"all": [4, 6], "trained": [2, 4]}
    assert counted.memory["peak"][0] > 2**24  # the interpreter with torch


def test_a_resumed_run_continues_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([700, 300, 900])
    monkeypatch.setattr(costs, "peak_memory", lambda device: next(peaks))
    first = Costs()
    first.finish_step(strategy(1), 0.0)
    first.add_epoch(2.0, 1.0)
    resumed = Costs()
    resumed.load_state_dict(first.state_dict())
    resumed.add_epoch(3.0, 1.5)
    resumed.finish_step(strategy(1), 0.0)
    resumed.finish_step(strategy(1), 0.0)
    assert resumed.seconds["train"] == [0.0, 5.0, 0.0]
    assert resumed.seconds["train_cpu"] == [0.0, 2.5, 0.0]
    assert resumed.memory["peak"] == [700, 700, 900]
    assert resumed.parameters == {"all": [4, 4, 4], "trained": [2, 2, 2]}


def test_a_run_that_an_earlier_version_began_counts_as_it_did() -> None:
    earlier = {"seconds": {"train": [1.0], "eval": [1.0]}, "memory": {"peak": [1], "kept": [1]}}
    counted = Costs()
    counted.load_state_dict({**earlier, "lap": 0.5})
    counted.add_epoch(1.0, 1.0)
    counted.finish_step(strategy(1), 0.25)
    assert counted.seconds == {"train": [1.0, 1.5], "eval": [1.0, 0.25]}
    assert counted.parameters == {}
