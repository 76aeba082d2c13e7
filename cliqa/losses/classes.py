"""A wrapper for losses on classes: checked shapes, and float32."""

from __future__ import annotations

import torch
from torch import nn

from cliqa.losses.scores import one_number
from cliqa.utils.errors import ModelError


class ClassLoss(nn.Module):
    """A loss that checks the shapes of logits and targets.

    Args:
        loss: Called with logits (B, K), float32, and targets (B,), int64; returns a scalar.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    @property
    def reduction(self) -> str:
        """The loss's reduction; Avalanche's MIR temporarily sets ``"none"``."""
        return str(getattr(self.loss, "reduction", "mean"))

    @reduction.setter
    def reduction(self, value: str) -> None:
        self.loss.reduction = value  # type: ignore[assignment]

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (B, K), any float dtype.
            targets: (B,), 0..K-1.

        Raises:
            ModelError: The shapes do not fit.
            ConfigError: The loss returns one value per sample.
        """
        if logits.ndim != 2 or targets.ndim != 1 or len(logits) != len(targets):
            raise ModelError(
                f"the model returned outputs of shape {tuple(logits.shape)} for targets of shape "
                f"{tuple(targets.shape)}; a loss on classes needs (B, K) and (B,). Give the model "
                "a head with num_classes, such as 'LinearClsHead'."
            )
        if logits.dtype in (torch.float16, torch.bfloat16):
            logits = logits.float()
        value: torch.Tensor = self.loss(logits, targets)
        return one_number(self.loss, value) if torch.is_grad_enabled() else value


def as_class_loss(loss: nn.Module) -> ClassLoss:
    """Return `loss` with its inputs' shapes checked and computed in float32."""
    return loss if isinstance(loss, ClassLoss) else ClassLoss(loss)
