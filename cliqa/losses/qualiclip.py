"""QualiCLIP's losses: rank an image's degradations by similarity to a good and a bad anchor.

Legend: B images, 2 crops of each, L levels of degradation (level 0 is the mildest).
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.registry import LOSSES
from cliqa.utils.errors import ConfigError, ModelError

Parts = dict[str, Tensor]
"""``total``, ``cons``, ``pos`` and ``neg``: scalars without a gradient, for a log."""


def rank_hinge(similarities: Tensor, margin: float, across_crops: bool = False) -> Tensor:
    """Return the mean of ``max(0, margin - (s_i - s_j))`` over all levels i milder than j.

    Args:
        similarities: (B, 2, L), should fall with the level.
        margin: Gap that a milder level must keep, in units of a cosine.
        across_crops: Compare the levels of different crops too: 2 L (L - 1) pairs an image instead
            of L (L - 1).

    Returns:
        A scalar, at least 0.

    >>> rank_hinge(torch.tensor([[[0.5, 0.25], [0.25, 0.5]]]), margin=0.25).item()
    0.25
    """
    levels = similarities.shape[2]
    milder, worse = torch.triu_indices(levels, levels, 1, device=similarities.device)
    if across_crops:
        gaps = similarities[:, :, None, milder] - similarities[:, None, :, worse]  # (B, 2, 2, P)
    else:
        gaps = similarities[..., milder] - similarities[..., worse]  # (B, 2, P)
    return F.relu(margin - gaps).mean()


class SimilarityLoss(nn.Module):
    """A weighted sum of parts, over the similarities of degraded crops with two anchors.

    Args:
        weights: The weight of each part.
        margins: Numbers that must be at least 0, as the weights.

    Raises:
        ConfigError: A number is negative, or all weights are 0.
    """

    def __init__(self, weights: dict[str, float], *margins: float) -> None:
        super().__init__()
        name = type(self).__name__
        if not all(value >= 0 for value in (*weights.values(), *margins)):
            raise ConfigError(f"{name}: margins and weights must be at least 0.")
        if not any(weights.values()):
            raise ConfigError(f"{name}: every weight is 0, so nothing would be trained. Raise one.")
        self.weights = weights

    @abstractmethod
    def parts(self, positive: Tensor, negative: Tensor) -> Parts:
        """Return the parts, scalars, of cosines (B, 2, L) with the good and the bad anchor."""

    def forward(self, positive: Tensor, negative: Tensor) -> tuple[Tensor, Parts]:
        """Return the loss and its parts.

        Args:
            positive: (B, 2, L), cosines with the good anchor.
            negative: (B, 2, L), cosines with the bad anchor.

        Raises:
            ModelError: They are not both (B, 2, L) with B >= 1 and L >= 2.
        """
        shape = positive.shape
        if positive.ndim != 3 or shape != negative.shape or shape[1] != 2 or shape[2] < 2:
            raise ModelError(
                f"similarities of shapes {tuple(shape)} and {tuple(negative.shape)}; this loss "
                "ranks the levels of two crops and needs (B, 2, L) twice, L >= 2. It is for "
                "pretraining; for scores use 'L1Loss' or 'PairwiseRankLoss'."
            )
        if not len(positive):
            raise ModelError("the batch is empty: a loss needs at least one image.")
        half = (torch.float16, torch.bfloat16)
        parts = self.parts(*(s.float() if s.dtype in half else s for s in (positive, negative)))
        total = torch.stack([self.weights[name] * part for name, part in parts.items()]).sum()
        return total, {name: part.detach() for name, part in {"total": total, **parts}.items()}


@LOSSES.register_module()
class QualiCLIPLoss(SimilarityLoss):
    """Margins between the levels, and agreement between the crops.

    Agnolucci et al., "Quality-aware image-text alignment for opinion-unaware image quality
    assessment", 2024: a milder level is more similar to the good anchor (``pos``) and less to the
    bad one (``neg``) than a worse level, and two crops of one level are equally similar (``cons``).
    Every part is a mean over its pairs, so that a weight means the same at any B and L.

    Args:
        margin_consistency: Allowed difference of two crops, in units of a cosine.
        margin_rank: Gap that a milder level must keep, in units of a cosine.
        weight_consistency: Weight of ``cons``.
        weight_positive: Weight of ``pos``.
        weight_negative: Weight of ``neg``.
        across_crops: Rank the levels of different crops too.

    Raises:
        ConfigError: A margin or a weight is negative, or all weights are 0.
    """

    def __init__(
        self,
        margin_consistency: float = 2.5e-3,
        margin_rank: float = 6.75e-2,
        weight_consistency: float = 1.0,
        weight_positive: float = 1.0,
        weight_negative: float = 1.0,
        across_crops: bool = False,
    ) -> None:
        weights = {"cons": weight_consistency, "pos": weight_positive, "neg": weight_negative}
        super().__init__(weights, margin_consistency, margin_rank)
        self.margin_consistency = margin_consistency
        self.margin_rank = margin_rank
        self.across_crops = across_crops

    def parts(self, positive: Tensor, negative: Tensor) -> Parts:
        """Return the agreement of the crops, and the rankings by both anchors."""
        gaps = [(s[:, 0] - s[:, 1]).abs() for s in (positive, negative)]  # (B, L) each
        return {
            "cons": F.relu(torch.cat(gaps) - self.margin_consistency).mean() * 2,  # a sum of means
            "pos": rank_hinge(positive, self.margin_rank, self.across_crops),
            "neg": rank_hinge(-negative, self.margin_rank, self.across_crops),
        }


@LOSSES.register_module()
class SimplifiedQualiCLIPLoss(SimilarityLoss):
    """A target for every level instead of a ranking, and a small variance over the crops.

    The targets fall from 1 at level 0 in equal steps to the anchors' cosine c at the last level for
    the good anchor, and rise so for the bad one. With ``anchor_cosine=0`` they reach from 1 to 0,
    which is possible for orthogonal anchors only: for others ``pos + neg`` cannot fall below
    ``1 - sqrt(1 - c^2)`` at the first and the last level.

    Args:
        weight_consistency: Weight of ``cons``, the mean variance over the crops.
        weight_rank: Weight of ``pos`` and ``neg``, the mean absolute distances from the targets.
        anchor_cosine: c of the anchors in use: -1 for antipodal, 0 for orthogonal ones.

    Raises:
        ConfigError: A weight is negative, all are 0, or the cosine is not in -1..1 (1 excluded).
    """

    def __init__(
        self,
        weight_consistency: float = 1.0,
        weight_rank: float = 1.0,
        anchor_cosine: float = 0.0,
    ) -> None:
        super().__init__({"cons": weight_consistency, "pos": weight_rank, "neg": weight_rank})
        if not -1 <= anchor_cosine < 1:
            raise ConfigError(
                f"SimplifiedQualiCLIPLoss: anchor_cosine must be at least -1 and below 1, got "
                f"{anchor_cosine}. Equal anchors cannot tell good from bad."
            )
        self.anchor_cosine = anchor_cosine

    def parts(self, positive: Tensor, negative: Tensor) -> Parts:
        """Return the agreement of the crops, and the rankings by both anchors."""
        falling = torch.linspace(1, self.anchor_cosine, positive.shape[2]).to(positive)  # (L,)
        return {
            "cons": positive.var(dim=1).mean() + negative.var(dim=1).mean(),
            "pos": (positive - falling).abs().mean(),
            "neg": (negative - falling.flip(0)).abs().mean(),
        }
