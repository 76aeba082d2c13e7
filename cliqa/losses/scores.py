"""A wrapper for losses on quality scores, with shared functions: checked shapes, and float32."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from cliqa.utils.errors import ConfigError, ModelError

LEAST_SPREAD = 1e-6
"""Standard deviation (of scores in 0..1) below which a batch counts as constant."""


def paired_scores(
    prediction: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predictions and targets as comparable vectors.

    Args:
        prediction: The model's scores (B,).
        target: Their targets (B,).

    Returns:
        Both with the prediction's dtype; half precision becomes float32.

    Raises:
        ModelError: The shapes are not (B,) and (B,) with B >= 1. torch would broadcast (B, 1)
            against (B,) to (B, B).
    """
    if prediction.ndim != 1 or target.ndim != 1 or len(prediction) != len(target):
        raise ModelError(
            f"the model returned scores of shape {tuple(prediction.shape)} for targets of shape "
            f"{tuple(target.shape)}; a quality loss needs (B,) and (B,). Give the model a head "
            "with one score per image, such as 'LinearScoreHead'."
        )
    if not len(prediction):
        raise ModelError("the batch is empty: a loss needs at least one score.")
    if prediction.dtype in (torch.float16, torch.bfloat16):
        prediction = prediction.float()
    return prediction, target.to(prediction.dtype)


def one_number(loss: nn.Module, value: torch.Tensor) -> torch.Tensor:
    """Return a loss's value.

    Raises:
        ConfigError: It is one value per image, not a scalar.
    """
    if value.ndim:
        raise ConfigError(
            f"the loss {type(loss).__name__} returned shape {tuple(value.shape)} instead of one "
            "number. Set its reduction='mean'."
        )
    return value


class ScoreLoss(nn.Module):
    """A loss that checks the shapes of scores and targets.

    Args:
        loss: Called with prediction (B,) and target (B,), float32; returns a scalar.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.ratings = getattr(loss, "ratings", None)  # what it reads of raters

    def forward(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor,
        ratings: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            prediction: (B,), any float dtype.
            target: (B,), 0..1.
            ratings: What the raters of each said, for a loss that reads it; see
                `cliqa.losses.ratings`.

        Raises:
            ModelError: The shapes differ.
            ConfigError: The loss returns one value per image.
        """
        read = () if self.ratings is None or ratings is None else (ratings,)
        return one_number(self.loss, self.loss(*paired_scores(prediction, target), *read))


def as_score_loss(loss: nn.Module) -> ScoreLoss:
    """Return `loss` with its inputs' shapes checked and computed in float32."""
    return loss if isinstance(loss, ScoreLoss) else ScoreLoss(loss)


def where_defined(
    defined: torch.Tensor, value: torch.Tensor, prediction: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    """Return `value`, or the L1 loss if a formula is undefined for the batch.

    A batch of one image has no ranking and no correlation.

    Args:
        defined: Bool scalar: the formula applies.
        value: Its scalar, finite in either case.
        prediction: (B,).
        target: (B,).
    """
    return torch.where(defined, value, F.l1_loss(prediction, target))


def unit_deviation(scores: torch.Tensor, q: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scores' deviations from their mean, divided by the deviations' q-norm.

    Args:
        scores: (B,).
        q: The norm's order.

    Returns:
        The unit deviations (B,), zeros for constant scores, and a bool scalar: they are not
        constant.
    """
    deviation = scores - scores.mean()
    defined = deviation.detach().square().mean().sqrt() > LEAST_SPREAD
    safe = torch.where(
        defined, deviation, torch.ones_like(deviation)
    )  # a norm of 0 has no gradient
    unit = safe / torch.linalg.vector_norm(safe, ord=q)
    return torch.where(defined, unit, torch.zeros_like(unit)), defined
