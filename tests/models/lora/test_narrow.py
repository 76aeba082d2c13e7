"""Adapters of layers that lose channels keep what they say about those that are left."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.lora.layer import adapt
from cliqa.models.lora.narrow import cut_adapter, limit_rank


def adapted(layer: nn.Module, rank: int = 3) -> Any:
    random = torch.Generator().manual_seed(0)
    adapt(layer, rank, 2.0, True, random)
    made: Any = layer
    nn.init.normal_(made.lora_B, generator=random)
    made.lora_sum.normal_(generator=random)
    return made


LAYERS = {
    "linear": lambda: nn.Linear(6, 4),
    "convolution": lambda: nn.Conv2d(6, 4, 3),
    "depthwise": lambda: nn.Conv2d(4, 4, 3, groups=4),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dimension", [0, 1])
def test_the_adapter_is_that_of_the_channels_left(name: str, dimension: int) -> None:
    layer = adapted(LAYERS[name]())
    kept = torch.tensor([0, 2, 3] if dimension == 0 else [0])
    wanted = (layer.lora_sum + layer.delta()).index_select(dimension, kept)
    before = {key: getattr(layer, key) for key in ("lora_A", "lora_B")}
    replaced = cut_adapter(layer, dimension, kept)
    plain = layer.base_weight.index_select(dimension, kept)
    layer._parameters["weight"] = nn.Parameter(plain)
    if name == "depthwise" and dimension == 0:
        layer.groups = 3
    torch.testing.assert_close(layer.lora_sum + layer.delta(), wanted)
    for key, (old, new) in replaced.items():
        assert old is before[key]
        assert new is getattr(layer, key)


def test_the_rank_is_at_most_what_the_smaller_weight_can_have() -> None:
    layer = adapted(nn.Linear(6, 4), rank=4)
    rows = layer.lora_A.detach()[:2].clone()
    nn.init.zeros_(layer.lora_B)
    cut_adapter(layer, 0, torch.tensor([1, 3]))
    layer._parameters["weight"] = nn.Parameter(layer.base_weight[[1, 3]])
    assert limit_rank(layer).keys() == {"lora_A", "lora_B"}
    assert layer.rank == 2
    assert torch.equal(layer.lora_A, rows)
    assert limit_rank(layer) == {}
