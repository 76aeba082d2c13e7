"""Tests of cliqa.models.without_memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cliqa.models.without_memory import shape_first, without_memory


def test_tensors_have_shapes_alone_and_tables_have_values() -> None:
    with without_memory():
        layer = nn.Linear(10**6, 10**6)  # 4 TB
        rates = [rate.item() for rate in torch.linspace(0, 0.2, 3)]
    assert layer.weight.is_meta
    assert layer.weight.shape == (10**6, 10**6)
    assert rates == pytest.approx([0, 0.1, 0.2])
    assert not torch.zeros(1).is_meta


def test_what_needs_values_is_built_on_the_cpu() -> None:
    seen = []

    def build(device: torch.device) -> float:
        seen.append(device.type)
        return float(torch.ones(2).sum())

    assert shape_first(build) == 2.0
    assert seen == ["meta", "cpu"]


def test_a_real_mistake_is_raised_and_no_random_number_is_used_up() -> None:
    def build(_: torch.device) -> None:
        torch.rand(3)
        raise ValueError("wrong")

    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="wrong"):
        shape_first(build)
    assert torch.equal(state, torch.get_rng_state())
