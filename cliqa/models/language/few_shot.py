"""Candidates from their texts and from a few images of each.

Legend: K candidates, M images, D dimensions.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def blend_prototypes(
    texts: Tensor, images: Tensor, shares: Tensor, text_weight: float = 1.0
) -> Tensor:
    """Return candidates that lie between their texts and some images of them.

    Candidate k is ``w t_k + sum_i s_ik x_i``, brought to length 1: its text counts as much as
    ``w`` images, so that without images it is the text, and with many their mean. Every vector has
    length 1.

    Args:
        texts: t, (K, D).
        images: x, (M, D); M may be 0.
        shares: s, (M, K): how far an image belongs to a candidate, 0..1; of classes one is 1.
        text_weight: w, at least 0.

    Returns:
        (K, D).

    >>> import torch
    >>> texts, images = torch.eye(2), torch.tensor([[0.6, 0.8]])
    >>> blend_prototypes(texts, images, torch.tensor([[0.0, 1.0]]))
    tensor([[1.0000, 0.0000],
            [0.3162, 0.9487]])
    """
    return F.normalize(text_weight * texts + shares.to(images).T @ images, dim=1)
