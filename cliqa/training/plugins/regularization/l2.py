"""The L2 anchor: a penalty on the distance from the weights after earlier experiences."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_choice
from cliqa.models.pruned import Step, sliced
from cliqa.registry import PLUGINS
from cliqa.training.importance.per_sample import Weights
from cliqa.training.importance.quadratic import (
    WeightPenalty,
    squared_distance,
    without,
)
from cliqa.training.strategy import Strategy


@PLUGINS.register_module()
class L2(WeightPenalty):
    """Add ``strength / 2 * ||theta - theta*||^2`` to the loss.

    It is EWC (Kirkpatrick et al., 2017, eq. 3) with all importances equal to one, and not weight
    decay, which pulls towards zero. There is no penalty while there is no anchor.

    Args:
        strength: Factor of the penalty, >= 0.
        anchor: ``"last"``: the weights after the last experience; ``"init"``: the weights before
            the first (L2-SP, Li et al., 2018), from the first experience on; ``"all"``: the sum
            over the weights after every earlier experience.
        layers: Factors of the strength by part of the model, e.g. ``{"head": 0}``; the first name
            that matches counts, ``*`` is any text. None for 1 everywhere.

    Raises:
        ConfigError: `strength` is negative or `anchor` is unknown.
    """

    follows_pruning = True
    saved = ("_anchors",)
    distributed = "from weights and gradients, which are the same in every process"

    def __init__(
        self,
        strength: float = 0.01,
        anchor: str = "last",
        layers: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(strength, layers)
        check_choice("L2", ("last", "init", "all"), anchor=anchor)
        self.anchor = anchor
        self._anchors: list[Weights] = []

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Use the first weights as the anchor with ``anchor="init"``."""
        if self.anchor == "init" and not self._anchors:
            self._anchors = [self.held(strategy)]

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Use the current weights as an anchor."""
        if self.anchor == "last":
            self._anchors = [self.held(strategy)]
        elif self.anchor == "all":
            self._anchors.append(self.held(strategy))

    @property
    def active(self) -> bool:
        """Return whether there is an anchor."""
        return bool(self._anchors)

    def forget(self, names: Collection[str]) -> None:
        """Forget the anchors of parameters that are reinitialised."""
        self._anchors = [without(anchor, names) for anchor in self._anchors]

    def cut(self, step: Step) -> None:
        """Slice the anchors."""
        self._anchors = [sliced(anchor, step) for anchor in self._anchors]

    def penalty(self, model: nn.Module) -> Tensor:
        """Return ``strength / 2`` times the squared distance of the trainable weights, a scalar.

        Weights that are newer than an anchor are not penalised; of enlarged ones, the old part is.
        """
        distances = [
            squared_distance(model, anchor, self._factors(anchor)) for anchor in self._anchors
        ]
        return self.strength / 2 * torch.stack(distances).sum()

    def _factors(self, anchor: Weights) -> Weights | None:
        """Return the strength's factors, scalars by parameter name; None for ones."""
        if not self.layers.factors:
            return None
        return {name: weight.new_tensor(self.layers.of(name)) for name, weight in anchor.items()}
