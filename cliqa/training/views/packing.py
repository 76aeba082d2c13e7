"""Sharing the weights of a network out among experiences (Mallya & Lazebnik, CVPR 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]


def share_out(weights: Tensors, owners: Tensors, freed: float, experience: int) -> None:
    """Give the largest of every tensor's free weights to an experience, and set the rest to zero.

    Args:
        weights: Tensors by name; changed in place.
        owners: uint8 tensors of the same shapes: 0 is free; changed in place.
        freed: Share of each tensor's free weights that stays free, 0..1.
        experience: The owner's number, from 1.
    """
    with torch.no_grad():
        for name, owner in owners.items():
            free = (owner == 0).flatten().nonzero().flatten()
            sizes = weights[name].detach().abs().flatten()[free]
            count = len(free) - round(freed * len(free))
            kept = free[sizes.argsort(descending=True, stable=True)[:count]]
            owner.view(-1)[kept] = experience
            weights[name].mul_((owner > 0).to(weights[name].dtype))


def occupancy(owners: Tensors) -> list[float]:
    """Return the share of all weights that each experience owns; what is missing to 1 is free.

    >>> occupancy({"w": torch.tensor([0, 1, 1, 2], dtype=torch.uint8)})
    [0.5, 0.25]
    """
    total = sum(owner.numel() for owner in owners.values())
    last = max((int(owner.max()) for owner in owners.values()), default=0)
    counts = [sum(int((o == k).sum()) for o in owners.values()) for k in range(1, last + 1)]
    return [count / max(1, total) for count in counts]
