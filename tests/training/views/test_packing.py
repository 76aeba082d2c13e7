"""Weights are shared out by size, exactly, and once."""

from __future__ import annotations

import pytest
import torch

from cliqa.training.views.packing import occupancy, share_out


def test_the_largest_free_weights_are_kept_and_the_others_are_zero() -> None:
    weights = {"w": torch.tensor([[0.1, -4.0], [3.0, -0.2]])}
    owners = {"w": torch.zeros(2, 2, dtype=torch.uint8)}
    share_out(weights, owners, 0.5, 1)
    assert torch.equal(owners["w"], torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8))
    assert torch.equal(weights["w"], torch.tensor([[0.0, -4.0], [3.0, 0.0]]))


def test_what_has_an_owner_keeps_it_and_its_value() -> None:
    weights = {"w": torch.tensor([0.01, 5.0, 1.0, 2.0])}
    owners = {"w": torch.tensor([1, 0, 0, 0], dtype=torch.uint8)}
    share_out(weights, owners, 1 / 3, 2)
    assert owners["w"].tolist() == [1, 2, 0, 2]
    assert weights["w"].tolist() == pytest.approx([0.01, 5.0, 0.0, 2.0])


def test_shares_of_a_half_a_half_and_nothing_occupy_exactly() -> None:
    random = torch.Generator().manual_seed(0)
    weights = {
        n: torch.randn(shape, generator=random) for n, shape in (("a", (8, 8)), ("b", (16,)))
    }
    owners = {n: torch.zeros_like(w, dtype=torch.uint8) for n, w in weights.items()}
    assert occupancy(owners) == []
    for experience, freed in enumerate((0.5, 0.5, 0.0), start=1):
        before = {n: o.clone() for n, o in owners.items()}
        share_out(weights, owners, freed, experience)
        for name, owner in owners.items():
            taken = before[name] > 0
            assert torch.equal(owner[taken], before[name][taken])
    assert occupancy(owners) == [0.5, 0.25, 0.25]


def test_equal_weights_are_kept_in_their_order() -> None:
    weights, owners = {"w": torch.ones(4)}, {"w": torch.zeros(4, dtype=torch.uint8)}
    share_out(weights, owners, 0.5, 1)
    assert owners["w"].tolist() == [1, 1, 0, 0]
