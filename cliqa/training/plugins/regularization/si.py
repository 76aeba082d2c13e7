"""Synaptic intelligence: a penalty on changes of weights that contributed most to the loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.registry import PLUGINS
from cliqa.training.importance.per_sample import Weights
from cliqa.training.importance.quadratic import (
    QuadraticPenalty,
    WeightPenalty,
    grown,
    trainable,
)
from cliqa.training.strategy import Strategy


@PLUGINS.register_module()
class SI(QuadraticPenalty):
    """Add ``strength * sum_k Omega_k (theta_k - theta*_k)^2`` to the loss.

    Zenke et al., "Continual learning through synaptic intelligence", ICML 2017, eq. 3 to 5. At
    every step ``omega_k -= g_k * dtheta_k``, with g the gradient of the loss without weight
    penalties (this one's and those of L2, EWC and MAS); clipping, momentum and weight
    decay act on the step alone. After an experience
    ``Omega_k += max(0, omega_k) / ((theta_k - theta_k at its start)^2 + xi)``.

    Args:
        strength: Factor of the penalty, >= 0; the paper's c.
        xi: Keeps the importance of a weight that hardly moved finite, > 0.

    Raises:
        ConfigError: A value is out of range.
    """

    scale = 1.0  # the paper's penalty has no 1/2
    by_weight = saved = (*QuadraticPenalty.by_weight, "_start", "_omega")

    def __init__(self, strength: float = 1.0, xi: float = 0.1) -> None:
        super().__init__(strength)
        check_positive("SI", xi=xi)
        self.xi = xi
        self._start: Weights = {}  # the weights when the experience began
        self._omega: Weights = {}  # how much each has lowered the loss since then
        self._slope: Weights = {}  # this step's gradient of the loss without penalties
        self._before: Weights = {}  # the weights before this step

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Reset the path integrals; each weight is added with its first gradient."""
        super().before_training_exp(strategy)
        self._start, self._omega = {}, {}

    def after_backward(self, strategy: Strategy, **_: object) -> None:
        """Store the task's gradient and the weights, before clipping."""
        self._slope = task_gradient(strategy)
        weights = dict(strategy.model.named_parameters())
        self._before = {name: weights[name].detach().clone() for name in self._slope}
        for name, weight in self._before.items():
            if name not in self._omega:
                self._start[name], self._omega[name] = weight, torch.zeros_like(weight)

    def after_update(self, strategy: Strategy, **_: object) -> None:
        """Add each weight's contribution to the decrease of the loss in this step."""
        weights = dict(strategy.model.named_parameters())
        for name, slope in self._slope.items():
            moved = weights[name].detach() - self._before[name]
            # a step that mixed precision skips has infinite gradients and moves nothing: 0, not NaN
            self._omega[name] -= torch.nan_to_num(moved.mul_(slope), nan=0.0)
        self._slope, self._before = {}, {}

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Compute importances, and use the current weights as the anchor."""
        for name, weight in trainable(strategy.model).items():
            if name not in self._omega:
                continue
            moved = weight - self._start[name]
            new = self._omega[name].relu() / (moved.square() + self.xi)
            if name in self._importance:
                new = new + grown(self._importance[name], torch.zeros_like(new))
            self._importance[name] = new
            self._anchor[name] = weight


def task_gradient(strategy: Strategy) -> Weights:
    """Return a copy of the parameters' gradients, without those of weight penalties."""
    model: nn.Module = strategy.model
    found: dict[str, Tensor] = {
        name: weight.grad.detach().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is not None
    }
    for plugin in strategy.plugins:
        if isinstance(plugin, WeightPenalty) and plugin.active and plugin.strength > 0:
            for name, pull in plugin.gradient(model).items():
                found[name] -= pull
    return found
