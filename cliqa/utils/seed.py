"""Seeds derived from the run's seed and the place where they are used."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derive_seed(seed: int, *place: str | int) -> int:
    """Return the seed of one place of a run, independent of all other places.

    A run that seeds each epoch needs no generator states in its checkpoints, and two strategies
    with the same seed see the same batches.

    Args:
        seed: The run's seed.
        place: The place, e.g. ``("epoch", 2, 5)``.

    Returns:
        An integer in 0..2^63 - 1.

    >>> derive_seed(0, "epoch", 1) == derive_seed(0, "epoch", 1)
    True
    >>> derive_seed(0, "epoch", 1) == derive_seed(0, "epoch", 2)
    False
    """
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def seed_everything(seed: int, *place: str | int) -> None:
    """Seed Python's, NumPy's and PyTorch's global generators (CUDA's too) for one place."""
    value = derive_seed(seed, *place)
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value)
    _origin.clear()
    _origin[value] = seed


_origin: dict[int, int] = {}
"""The seed that PyTorch was last given by `seed_everything`, and the run's seed behind it."""


def script_seed() -> int:
    """Return the seed that a script has given to ``torch.manual_seed``.

    Where `seed_everything` was the last to set one, it is the run's seed that it was called with: a
    second training in a script has the seed of the first.
    """
    current = torch.initial_seed()
    return _origin.get(current, current)


def generator(seed: int, *place: str | int) -> torch.Generator:
    """Return a CPU generator seeded for one place."""
    return torch.Generator().manual_seed(derive_seed(seed, *place))
