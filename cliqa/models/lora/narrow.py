"""Adapters of layers that lose channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.lora.layer import LoRALayer, most_rank


@torch.no_grad()
def cut_adapter(
    layer: LoRALayer, dimension: int, kept: Tensor
) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    """Cut an adapter as channels of its layer's weight are, in place; the rank stays.

    Args:
        layer: The layer; its weight, and its groups, are still as they were.
        dimension: Of the weight: 0 for outputs, 1 for inputs.
        kept: The indexes that are left, (n,).

    Returns:
        The replaced parameters by name: (before, after).
    """
    names = ["lora_B" if dimension == 0 else "lora_A"]
    if dimension == 0 and 1 < getattr(layer, "groups", 1) == len(layer.base_weight):
        names.append("lora_A")  # depthwise: each channel has rows of its own
    if layer.lora_sum is not None:
        layer.lora_sum = layer.lora_sum.index_select(dimension, kept)
    parameters: dict[str, Any] = layer._parameters
    return {
        name: _replaced(layer, name, parameters[name].detach().index_select(dimension, kept))
        for name in names
    }


@torch.no_grad()
def limit_rank(layer: LoRALayer) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    """Reduce an untrained adapter to the largest rank that its layer's weight can have, in place.

    For a layer that has become smaller, with its number of groups.

    Returns:
        The replaced parameters by name: (before, after).
    """
    weight: Any = layer.base_weight
    groups: Any = getattr(layer, "groups", 1)
    most = most_rank(weight, groups)
    if layer.rank <= most:
        return {}
    rows = layer.lora_A.detach().unflatten(0, (-1, layer.rank))[:, :most].flatten(0, 1)
    columns = layer.lora_B.detach()[:, :most]
    return {
        "lora_A": _replaced(layer, "lora_A", rows),
        "lora_B": _replaced(layer, "lora_B", columns),
    }


def _replaced(layer: LoRALayer, name: str, value: Tensor) -> tuple[nn.Parameter, nn.Parameter]:
    """Set a parameter of an adapter; return the one before and the new one."""
    before: Any = layer._parameters[name]
    after = nn.Parameter(value.clone(), requires_grad=before.requires_grad)
    setattr(layer, name, after)
    return before, after
