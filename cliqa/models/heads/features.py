"""What a head takes."""

from __future__ import annotations

import torch

from cliqa.utils.errors import ModelError


def feature_vectors(
    features: torch.Tensor | tuple[torch.Tensor, ...], in_channels: int
) -> torch.Tensor:
    """Return the features that a head works on.

    Args:
        features: (B, D), or a tuple whose last item is taken, as mmpretrain passes them.
        in_channels: The D that the head was made for.

    Returns:
        (B, D).

    Raises:
        ModelError: The features have another shape.
    """
    vectors = features[-1] if isinstance(features, tuple) else features
    if vectors.ndim != 2 or vectors.shape[1] != in_channels:
        hint = f"Set in_channels={vectors.shape[1]} in model.head."
        pool = "Pool the maps first: neck=dict(type='GlobalAveragePooling')."
        raise ModelError(
            f"the head has in_channels={in_channels}, but the features have shape "
            f"{tuple(vectors.shape)}. {hint if vectors.ndim == 2 else pool}"
        )
    return vectors
