"""How much memory is in use."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes of the system's unit for the resident set."""


def peak_memory(device: torch.device) -> int:
    """Return the most memory that was in use at a time so far, in bytes.

    Args:
        device: On CUDA it is what torch has allocated there; on a CPU the process's resident set,
            libraries and cached images included (0 where the system does not tell).
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource  # noqa: PLC0415  not on Windows
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def tensor_bytes(state: Any) -> int:  # noqa: ANN401
    """Return the bytes of all tensors in nested dicts, lists and tuples; each storage counts once.

    >>> weight = torch.zeros(3, 4)
    >>> tensor_bytes({"a": weight, "b": [weight.T, torch.zeros(2, dtype=torch.uint8)]})
    50
    """
    sizes: dict[int, int] = {}
    _collect(state, sizes)
    return sum(sizes.values())


def _collect(state: Any, sizes: dict[int, int]) -> None:  # noqa: ANN401
    """Add the storages in `state`, by where they lie."""
    if isinstance(state, torch.Tensor):
        storage = state.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
    elif isinstance(state, Mapping):
        for value in state.values():
            _collect(value, sizes)
    elif isinstance(state, (list, tuple)):
        for value in state:
            _collect(value, sizes)
