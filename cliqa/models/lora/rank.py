"""Adapters of no more rank than they need.

Legend: G groups of a convolution (1 of a linear layer), r rank, n inputs of a weight's row.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch

from cliqa.models.lora.layer import ROW_NORM, LoRALayer, fresh_rows

logger = logging.getLogger(__name__)

ROUNDING = 1e-10
"""Share of the energy that is taken for rounding of float32 values."""


@torch.no_grad()
def compress(layer: LoRALayer, energy: float) -> list[int]:
    """Cut an adapter down to the smallest rank with a share of its energy, in place.

    The energy is the sum of the squared singular values of s B A. The first rows of A are its right
    singular vectors afterwards; those beyond the rank are zero, and B's columns too.

    Args:
        layer: The layer.
        energy: The share, above 0, up to 1.

    Returns:
        The rank of each group.
    """
    up, down = (factor.double() for factor in layer.factors())  # (G, out / G, r), (G, r, n)
    left, high = torch.linalg.qr(up)
    right, low = torch.linalg.qr(down.mT)
    u, values, v = torch.linalg.svd(high @ low.mT)  # of matrices of r x r at most
    energies = values.square()
    total = energies.sum(1, keepdim=True)
    lost = total - energies.cumsum(1)
    kept = (lost > (1 - energy) * total + ROUNDING * total).sum(1) + (total[:, 0] > 0)
    keep = torch.arange(values.shape[1], device=kept.device) < kept[:, None]  # (G, r)
    scaled = values * keep / ROW_NORM
    layer.lora_B.copy_((left @ u * scaled[:, None]).reshape(layer.lora_B.shape))
    rows = (v @ right.mT) * keep[:, :, None] * ROW_NORM
    layer.lora_A.copy_(rows.reshape(layer.lora_A.shape))
    return [int(rank) for rank in kept]


def cut_down(layers: Mapping[str, LoRALayer], energy: float) -> dict[str, list[int]]:
    """Cut the adapters of layers down, log their ranks and return them, by layer and group.

    Args:
        layers: The layers by name.
        energy: As `compress`.
    """
    ranks = {name: compress(layer, energy) for name, layer in layers.items()}
    every = [rank for groups in ranks.values() for rank in groups]
    logger.info(
        "LoRA: %.4g of the adapters' energy is in ranks of %.1f on average, at most %d.",
        energy,
        sum(every) / len(every),
        max(every),
    )
    return ranks


@torch.no_grad()
def refill(layer: LoRALayer, random: torch.Generator) -> None:
    """Give the rows of A that `compress` cut off fresh values, so that they can learn again.

    Args:
        layer: The layer; what it computes stays the same.
        random: A generator of the CPU.
    """
    cut = ~layer.lora_A.flatten(1).any(1)
    layer.lora_A[cut] = fresh_rows(layer.lora_A.shape, random).to(layer.lora_A)[cut]
