"""Seeds derived from the run's seed and the place where they are used."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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


@contextmanager
def numerics(config: Mapping[str, Any]) -> Iterator[None]:
    """Choose PyTorch's algorithms on a GPU within this context, as a config's keys ask for.

    Args:
        config: ``deterministic``: operations without a deterministic algorithm raise an error.
            ``cudnn_benchmark``: the fastest convolutions, chosen anew in every process. Without a
            key, or with None, the process's own choice stays.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if config.get("deterministic") is not None:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which torch asks for
        torch.use_deterministic_algorithms(config["deterministic"])
    if config.get("cudnn_benchmark") is not None:
        torch.backends.cudnn.benchmark = config["cudnn_benchmark"]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]
