"""Copies of images with synthetic degradations of any severity.

Legend: B images, M copies, L levels, C channels, H W.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cliqa.transforms.degradations.ladders import family_names, find_family, strength_at
from cliqa.utils.errors import ConfigError

TABLE = "wide"
"""The strengths: from hardly visible to destroyed."""


def checked_families(families: Sequence[str] | None) -> list[str]:
    """Return the names of families of degradation; of all ladders for None.

    Raises:
        ConfigError: They are no list, one is unknown, or one is not a ladder.
    """
    known = family_names(TABLE)
    if families is None:
        return known
    if isinstance(families, str) or not families:
        raise ConfigError(
            f"LadderRehearsal: families={families!r}: expected a list of degradations, such as "
            "['blur', 'noise'], or None for all."
        )
    for name in families:
        if find_family(name) and name not in known:
            raise ConfigError(
                f"LadderRehearsal: families: '{name}' does not rise from level to level, so no "
                f"ranking follows from it. Use {', '.join(known)}."
            )
    return list(dict.fromkeys(families))


def degraded(pixels: Tensor, family: str, place: float, draw: torch.Generator) -> Tensor:
    """Return pixels (..., C, H, W) in 0..1 degraded by a family, 0..1.

    Args:
        pixels: Images, or several crops of each.
        family: The degradation.
        place: Its place on the ladder: 0 is the mildest, 1 the harshest.
        draw: The randomness, on the CPU.
    """
    images = pixels.flatten(0, -4)
    found = find_family(family)(images, strength_at(family, place, TABLE), draw)
    return found.clamp(0, 1).reshape(pixels.shape)


def drawn_copies(
    pixels: Tensor, copies: int, families: Sequence[str], draw: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return degraded copies of images at random severities, and the images that they are of.

    Each image is used once before one is used again. Family and severity are drawn uniformly.

    Args:
        pixels: (B, C, H, W) in 0..1.
        copies: M.
        families: Their names.
        draw: The randomness, on the CPU.

    Returns:
        (M, C, H, W) in 0..1, and indices (M,) on the images' device.
    """
    rounds = -(-copies // len(pixels))
    orders = [torch.randperm(len(pixels), generator=draw) for _ in range(rounds)]
    order = torch.cat(orders)[:copies]
    kinds = torch.randint(len(families), (copies,), generator=draw).tolist()
    places = torch.rand(copies, generator=draw).tolist()
    made = [
        degraded(pixels[image, None], families[kind], place, draw)
        for image, kind, place in zip(order.tolist(), kinds, places, strict=True)
    ]
    return torch.cat(made), order.to(pixels.device)
