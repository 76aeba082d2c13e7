"""Times in turns: the order of passes, the ratio, what does not count."""

from __future__ import annotations

import time

import pytest
import torch
from torch import Tensor

from cliqa.deploy.search.paired_latency import measure_in_turns
from cliqa.utils.errors import ConfigError


def test_passes_alternate_and_the_first_rounds_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    order = []

    def passes(name: str, first: float, rest: float) -> object:
        def forward(_: Tensor) -> None:
            order.append(name)
            clock[0] += first if order.count(name) <= 2 else rest

        return forward

    slow, fast = passes("slow", 9.0, 0.008), passes("fast", 9.0, 0.002)
    found = measure_in_turns(slow, fast, torch.zeros(1), warmup=2, rounds=3)  # type: ignore[arg-type]
    assert order == ["slow", "fast"] * 5
    assert found.baseline_ms == pytest.approx(8)
    assert found.other_ms == pytest.approx(2)
    assert found.faster == pytest.approx(4)


@pytest.mark.parametrize(("warmup", "rounds"), [(-1, 3), (0, 0)])
def test_numbers_out_of_range_are_refused(warmup: int, rounds: int) -> None:
    with pytest.raises(ConfigError, match=f"warmup={warmup} must be 0 or more, rounds={rounds}"):
        measure_in_turns(id, id, torch.zeros(1), warmup=warmup, rounds=rounds)
