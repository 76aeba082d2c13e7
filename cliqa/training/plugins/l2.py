"""The L2 anchor: weights are pulled towards where earlier experiences left them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.errors import ConfigError

Weights = dict[str, Tensor]


@PLUGINS.register_module()
class L2(ContinualPlugin):
    """Add ``strength / 2 * ||theta - theta*||^2`` to the loss.

    It is EWC (Kirkpatrick et al., 2017, eq. 3) with all importances equal to one, and not weight
    decay, which pulls towards zero. There is no penalty while there is no anchor.

    Args:
        strength: Factor of the penalty, >= 0.
        anchor: ``"last"``: the weights after the last experience; ``"init"``: the weights before
            the first (L2-SP, Li et al., 2018), from the first experience on; ``"all"``: the sum
            over the weights after every earlier experience.

    Raises:
        ConfigError: `strength` is negative or `anchor` is unknown.
    """

    def __init__(self, strength: float = 0.01, anchor: str = "last") -> None:
        super().__init__()
        if not strength >= 0:
            raise ConfigError(f"L2: strength must be >= 0, got {strength!r}.")
        if anchor not in ("last", "init", "all"):
            raise ConfigError(f"L2: anchor must be 'last', 'init' or 'all', got {anchor!r}.")
        self.strength = strength
        self.anchor = anchor
        self._anchors: list[Weights] = []

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Take the first weights as the anchor where that is asked for."""
        if self.anchor == "init" and not self._anchors:
            self._anchors = [_weights(strategy.model)]

    def before_backward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Add the penalty to the loss."""
        if self._anchors and self.strength > 0:
            strategy.loss = strategy.loss + self.penalty(strategy.model)

    def after_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Take the weights reached as an anchor."""
        if self.anchor == "last":
            self._anchors = [_weights(strategy.model)]
        elif self.anchor == "all":
            self._anchors.append(_weights(strategy.model))

    def penalty(self, model: nn.Module) -> Tensor:
        """Return ``strength / 2`` times the squared distance of the trainable weights, a scalar.

        Weights that are newer than an anchor are free; of those that have grown, the old part is
        compared.
        """
        gaps = [
            (weight[tuple(map(slice, anchor[name].shape))] - anchor[name]).square().sum()
            for anchor in self._anchors
            for name, weight in model.named_parameters()
            if weight.requires_grad and name in anchor
        ]
        return self.strength / 2 * torch.stack(gaps).sum()

    def state_dict(self) -> dict[str, Any]:
        """Return the anchors."""
        return {"anchors": self._anchors}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the anchors over."""
        self._anchors = state["anchors"]


def _weights(model: nn.Module) -> Weights:
    """Return a copy of the trainable weights."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}
