"""Adapters are cut down to the rank that their energy needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.lora.adapters import inject
from cliqa.models.lora.layer import LoRALayer
from cliqa.models.lora.rank import compress, cut_down, refill


def learnt(layer: nn.Module, rank: int = 4) -> LoRALayer:
    """Return the layer with an adapter of falling singular values."""
    found = inject(nn.ModuleDict({"layer": layer}), rank=rank)["layer"]
    torch.manual_seed(1)
    nn.init.normal_(found.lora_B)
    with torch.no_grad():
        found.lora_B.mul_(torch.logspace(0, -3, found.rank))
    return found


LAYERS = [nn.Linear(20, 10), nn.Conv2d(6, 12, 3), nn.Conv2d(6, 12, 3, groups=3)]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("energy", [0.5, 0.9, 0.99, 0.9999, 1.0])
def test_the_rank_is_the_smallest_with_the_energy(layer: nn.Linear, energy: float) -> None:
    adapted = learnt(type(layer)(**arguments_of(layer)))
    before = whole(adapted)
    ranks = compress(adapted, energy)
    after = whole(adapted)
    for rank, was, now in zip(ranks, before, after, strict=True):
        values = torch.linalg.svdvals(was.double()).square()
        share = values.cumsum(0) / values.sum()
        assert share[rank - 1] >= energy - 1e-6
        assert rank == 1 or share[rank - 2] < energy
        assert int((torch.linalg.svdvals(now) > 1e-5 * now.norm()).sum()) == rank
        lost = float((was - now).square().sum() / was.square().sum())
        assert lost <= 1 - energy + 1e-6
    rows = adapted.factors()[1]
    for rank, group in zip(ranks, rows, strict=True):
        norms = group.norm(dim=1)
        assert torch.allclose(norms[:rank], torch.full((rank,), 3**-0.5), atol=1e-5)
        assert not group[rank:].any()


def arguments_of(layer: Any) -> dict[str, Any]:
    if isinstance(layer, nn.Linear):
        return {"in_features": layer.in_features, "out_features": layer.out_features}
    sizes = {"in_channels": layer.in_channels, "out_channels": layer.out_channels}
    return {**sizes, "kernel_size": layer.kernel_size, "groups": layer.groups}


def whole(layer: LoRALayer) -> torch.Tensor:
    """Return what an adapter adds, (G, out / G, n)."""
    up, down = layer.factors()
    return (layer.scale * up @ down).detach()


def test_an_adapter_that_learnt_nothing_has_rank_0() -> None:
    layer = inject(nn.ModuleDict({"layer": nn.Linear(5, 5)}))["layer"]
    assert compress(layer, 0.99) == [0]
    assert not layer.lora_A.any()


def test_refilled_rows_can_learn_and_change_nothing() -> None:
    layer = learnt(nn.Linear(20, 10))
    [rank] = compress(layer, 0.9)
    assert rank < 4
    before, rows = layer.weight.clone(), layer.lora_A.clone()
    refill(layer, torch.Generator().manual_seed(0))
    assert torch.allclose(layer.weight, before, atol=1e-7)
    assert torch.equal(layer.lora_A[:rank], rows[:rank])
    assert bool(layer.lora_A[rank:].flatten(1).any(1).all())


def test_ranks_are_told_by_layer_and_group(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    layers = {"linear": learnt(nn.Linear(20, 10)), "conv": learnt(nn.Conv2d(6, 12, 3, groups=3))}
    for layer in layers.values():
        with torch.no_grad():
            layer.lora_B[:, 1:] = 0
    assert cut_down(layers, 1.0) == {"linear": [1], "conv": [1, 1, 1]}
    assert (
        "LoRA: 1 of the adapters' energy is in ranks of 1.0 on average, at most 1." in caplog.text
    )
