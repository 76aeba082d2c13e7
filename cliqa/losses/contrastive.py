"""The contrastive loss of matching images and texts (Yang et al., 2022).

Legend: B images, K texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.registry import LOSSES
from cliqa.utils.errors import ConfigError, ModelError


def contrastive_loss(logits: Tensor, positives: Tensor, text_weight: float = 0.5) -> Tensor:
    """Return the mean of -log p(text | image) and -log p(image | text) over matching pairs.

    Yang et al., "Unified contrastive learning in image-text-label space", CVPR 2022, eq. 2-4, and
    Khosla et al., "Supervised contrastive learning", 2020, eq. 2 (L_out): an image has any number
    of positive texts and a text any number of positive images, and their logarithms are averaged.

    Args:
        logits: (B, K), scale times cosine.
        positives: (B, K), at least 0: how well an image and a text match, 1 or a share. Texts
            without a matching image in the batch are left out on the texts' side.
        text_weight: Weight, 0..1, of the text's side; the rest is the image's.

    Returns:
        A scalar; 0 if nothing matches.

    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> round(float(contrastive_loss(logits, torch.eye(2))), 4)
    0.1269
    """
    positives = positives.to(logits.dtype)
    of_images = _one_side(logits, positives)
    of_texts = _one_side(logits.T, positives.T)
    return (1 - text_weight) * of_images + text_weight * of_texts


def _one_side(logits: Tensor, positives: Tensor) -> Tensor:
    """Return the mean over rows of the mean of -log softmax over a row's positives."""
    total = positives.sum(dim=1)  # (rows,)
    asked = total > 0
    shares = positives / torch.where(asked, total, 1.0)[:, None]
    each = -(shares * logits.log_softmax(dim=1)).sum(dim=1)
    return each.sum() / asked.sum().clamp(min=1)


def level_shares(scores: Tensor, values: Sequence[float]) -> Tensor:
    """Return the shares of levels of quality for scores.

    A score between two levels is interpolated linearly, so that the levels' values weighted by the
    shares are the score; a score beyond the last level has that level alone.

    Args:
        scores: (B,).
        values: The value of each of the K levels, in any order.

    Returns:
        (B, K), each row's sum 1.

    >>> level_shares(torch.tensor([0.3, 1.0]), [1.0, 0.5, 0.0])
    tensor([[0.0000, 0.6000, 0.4000],
            [1.0000, 0.0000, 0.0000]])
    """
    worth = torch.as_tensor(values, dtype=scores.dtype, device=scores.device)
    sorted_worth, order = worth.sort()
    inside = scores.clamp(sorted_worth[0], sorted_worth[-1])
    upper = torch.searchsorted(sorted_worth, inside.contiguous()).clamp(1, len(worth) - 1)  # (B,)
    low, high = sorted_worth[upper - 1], sorted_worth[upper]
    share = (inside - low) / (high - low)  # (B,)
    shares = scores.new_zeros(len(scores), len(worth))
    shares.scatter_(1, order[upper - 1][:, None], 1 - share[:, None])
    return shares.scatter_(1, order[upper][:, None], share[:, None])


@LOSSES.register_module()
class ContrastiveLoss(nn.Module):
    """The contrastive loss of a model whose logits compare images with the text of each class.

    With ``text_weight=0`` it is cross-entropy. The text's side classifies, for each class in
    the batch, which of the batch's images belong to it.

    Args:
        text_weight: Weight, 0..1, of the text's side.

    Raises:
        ConfigError: The weight is out of range.
    """

    def __init__(self, text_weight: float = 0.5) -> None:
        super().__init__()
        if not 0 <= text_weight <= 1:
            raise ConfigError(f"ContrastiveLoss: text_weight must lie in 0..1, got {text_weight}.")
        self.text_weight = text_weight

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of logits (B, K) and classes (B,).

        Raises:
            ModelError: The inputs are not logits (B, K).
        """
        if logits.ndim != 2:
            raise ModelError(
                f"ContrastiveLoss needs logits (B, K), got shape {tuple(logits.shape)}. For scores "
                "use a loss on scores, such as 'L1Loss'."
            )
        positives = F.one_hot(targets.long(), logits.shape[1])
        return contrastive_loss(logits, positives, self.text_weight)
