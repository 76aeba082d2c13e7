"""Synaptic intelligence: a penalty on changes of weights that contributed most to the loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.registry import PLUGINS
from cliqa.training.importance.per_sample import Weights
from cliqa.training.importance.quadratic import (
    QuadraticPenalty,
    WeightPenalty,
    grown,
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
        importance_power: Exponent of each experience's importances, above 0; 0.5 for the root. The
            measured ones are very uneven, so that most weights are free; see `Shaping`.
        importance_clip: Share of the weights, above 0 and up to 1; the importances of the others
            are set to the largest of theirs. 1 for no limit.
        normalize: Divide each experience's importances by their ``"max"`` or ``"mean"``, or in
            every parameter tensor by its own mean (``"layer"``), so that a strength suits different
            networks; False: do not.
        layers: Factors of the strength by part of the model, e.g. ``{"head": 0}``; the first name
            that matches counts, ``*`` is any text. None for 1 everywhere.

    Raises:
        ConfigError: A value is out of range.
    """

    scale = 1.0  # the paper's penalty has no 1/2
    by_weight = saved = (*QuadraticPenalty.by_weight, "_start", "_omega")
    distributed = "from weights and gradients, which are the same in every process"

    def __init__(
        self,
        strength: float = 1.0,
        xi: float = 0.1,
        importance_power: float = 1.0,
        importance_clip: float = 1.0,
        normalize: str | bool = False,
        layers: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(strength, importance_power, importance_clip, normalize, layers)
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
        weights = {n: w for n, w in self.held(strategy).items() if n in self._omega}
        found = {
            name: self._omega[name].relu() / ((weight - self._start[name]).square() + self.xi)
            for name, weight in weights.items()
        }
        for name, new in self.shaped(strategy, found).items():
            if name in self._importance:
                self._importance[name] = new + grown(self._importance[name], torch.zeros_like(new))
            else:
                self._importance[name] = new
            self._anchor[name] = weights[name]


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
