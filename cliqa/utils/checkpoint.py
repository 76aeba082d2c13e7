"""Checkpoints of tensors and plain types only: loading one never runs code."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from cliqa.utils.errors import CheckpointError
from cliqa.utils.io import atomic_open

DAMAGE = (
    *(RuntimeError, EOFError, ValueError, KeyError, OSError),
    *(IndexError, AssertionError, struct.error),
)
"""What ``torch.load`` raises for files that are damaged in one place or another."""


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write `state` atomically; what is on disk is always a whole checkpoint."""
    with atomic_open(path, "wb") as file:
        torch.save(state, file)


def load_checkpoint(path: str | Path, map_location: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint with ``weights_only=True``.

    Args:
        path: The file.
        map_location: Where its tensors go.

    Returns:
        The state that was saved.

    Raises:
        CheckpointError: The file is missing, damaged, or holds more than tensors and plain types.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint file.")
    try:
        state = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: not a checkpoint of tensors and plain types only, so it is not loaded (it "
            "could run code). Save its state_dict() alone and load that."
        ) from error
    except DAMAGE as error:
        raise CheckpointError(f"{path}: damaged or not a PyTorch checkpoint ({error}).") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, not a dict of tensors.")
    return state
