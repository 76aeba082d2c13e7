"""Checks and precision of a head's inputs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from cliqa.models.outputs import last_output
from cliqa.utils.errors import ModelError


def feature_vectors(
    features: torch.Tensor | tuple[torch.Tensor, ...], in_channels: int
) -> torch.Tensor:
    """Return the feature vectors for a head.

    Args:
        features: (B, D), or a tuple whose last item is used, as in mmpretrain. If that is a tuple
            itself (the two tokens of a distilled transformer), it is concatenated.
        in_channels: D of the head.

    Returns:
        (B, D).

    Raises:
        ModelError: The features have another shape.
    """
    vectors = last_output(features, "backbone")
    if vectors.ndim != 2 or vectors.shape[1] != in_channels:
        hint = f"Set in_channels={vectors.shape[1]} in model.head."
        pool = "Pool the maps first: neck=dict(type='GlobalAveragePooling')."
        raise ModelError(
            f"the head has in_channels={in_channels}, but the features have shape "
            f"{tuple(vectors.shape)}. {hint if vectors.ndim == 2 else pool}"
        )
    return vectors


@contextmanager
def full_precision(head: nn.Module, vectors: torch.Tensor) -> Iterator[torch.Tensor]:
    """Compute a score in the head's precision, also if the backbone runs in mixed precision.

    Near 0.5 bfloat16 has a resolution of 0.004: different images would get tied scores.

    Args:
        head: The head.
        vectors: (B, D), of any float dtype.

    Yields:
        The vectors in the dtype of the head's parameters; autocast is off within the context.
    """
    with torch.autocast(vectors.device.type, enabled=False):
        parameter = next(
            head.parameters(), None
        )  # a quantized head has no parameter and takes float32
        yield vectors.float() if parameter is None else vectors.to(parameter.dtype)
