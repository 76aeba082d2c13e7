"""Penalties on the weights: values, gradients and shared functions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cliqa.models.arguments import check_least
from cliqa.models.pruned import Step, sliced
from cliqa.training.importance.per_sample import Weights
from cliqa.training.importance.shaping import Layers, Shaping
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.training.views.views import TaskViews
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


def check_count(who: str, n_samples: int) -> None:
    """Refuse an invalid number of samples.

    Raises:
        ConfigError: It is not an integer >= 0.
    """
    if not isinstance(n_samples, int) or n_samples < 0:
        raise ConfigError(
            f"{who}: n_samples must be an integer >= 0 (0 for all samples), got {n_samples!r}."
        )


class WeightPenalty(ContinualPlugin, abstract=True):
    """A penalty that depends on the weights alone, not on samples.

    A part of which another plugin keeps a copy for each experience, such as one head per data set,
    is not penalised where these copies predict (``inference="gate"`` or ``"oracle"``): they hold
    what was learnt before.

    Args:
        strength: Factor of the penalty, >= 0.
        layers: Factors of the strength by part of the model, see `Layers`; None for 1 everywhere.

    Raises:
        ConfigError: `strength` is negative, or `layers` has a wrong factor.
    """

    def __init__(self, strength: float, layers: Mapping[str, float] | None = None) -> None:
        super().__init__()
        check_least(type(self).__name__, 0, strength=strength)
        self.strength = strength
        self.layers = Layers(type(self).__name__, {} if layers is None else layers)

    def prepare(self, model: nn.Module) -> None:
        """Refuse factors of parts that the model does not have.

        Raises:
            ModelError: A name in `layers` matches nothing.
        """
        self.layers.check(model)

    def held(self, strategy: Strategy) -> Weights:
        """Return a copy of the weights that the next experiences are compared with, by name.

        Those are the trainable ones, without parts that are free (a factor of 0) or that each
        experience predicts with a copy of.
        """
        views = [p for p in getattr(strategy, "plugins", ()) if isinstance(p, TaskViews)]
        used = [plugin for plugin in views if plugin.inference != "last"]
        own = {name for plugin in used for name in plugin.own_names(strategy.model)}
        return {
            name: weight
            for name, weight in trainable(strategy.model).items()
            if name not in own and self.layers.of(name) > 0
        }

    @property
    @abstractmethod
    def active(self) -> bool:
        """Whether there is an anchor to compare the weights with."""

    @abstractmethod
    def penalty(self, model: nn.Module) -> Tensor:
        """Return the penalty, a scalar."""

    def gradient(self, model: nn.Module) -> Weights:
        """Return the penalty's gradient by parameter name, where it has one."""
        weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        with torch.enable_grad():
            penalty = self.penalty(model)
        if not penalty.requires_grad:  # all compared weights are frozen now
            return {}
        found = torch.autograd.grad(penalty, list(weights.values()), allow_unused=True)
        return {name: g for name, g in zip(weights, found, strict=True) if g is not None}

    @abstractmethod
    def forget(self, names: Collection[str]) -> None:
        """Forget the state of parameters that another plugin reinitialises."""

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the penalty to the loss."""
        if self.active and self.strength > 0:
            strategy.loss = strategy.loss + self.penalty(strategy.model)


class QuadraticPenalty(WeightPenalty, abstract=True):
    """``scale * strength * sum_k importance_k (theta_k - theta*_k)^2``.

    Weights that are newer than the anchor are not penalised; of enlarged ones, the old part is.

    Args:
        strength: Factor of the penalty, >= 0.
        importance_power: Exponent of each experience's importances; see `Shaping`, as for the next.
        importance_clip: Share of the weights whose importances stay below the limit.
        normalize: What each experience's importances are divided by.
        layers: As `WeightPenalty`.

    Raises:
        ConfigError: A value is out of range or unknown.

    Attributes:
        by_weight: The attributes that have a tensor for each parameter, of its shape.
    """

    scale = 0.5
    follows_pruning = True
    by_weight: ClassVar[tuple[str, ...]] = ("_importance", "_anchor")
    saved = by_weight

    def __init__(
        self,
        strength: float,
        importance_power: float = 1.0,
        importance_clip: float = 1.0,
        normalize: str | bool = False,
        layers: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(strength, layers)
        self.shaping = Shaping(type(self).__name__, importance_clip, importance_power, normalize)
        self._importance: Weights = {}
        self._anchor: Weights = {}  # theta*

    @property
    def active(self) -> bool:
        """Whether an experience is finished."""
        return bool(self._anchor)

    @property
    def importance(self) -> Weights:
        """The weights' importances by parameter name."""
        return self._importance

    def shaped(self, strategy: Strategy, measured: Weights) -> Weights:
        """Return an experience's importances for the penalty, of the weights that it holds."""
        own = self.held(strategy)
        found = self.shaping({name: part for name, part in measured.items() if name in own})
        factors = {name: self.layers.of(name) for name in found}
        return {n: part if factors[n] == 1 else factors[n] * part for n, part in found.items()}

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Warn if plain gradient descent would overshoot the anchor more at every step."""
        plain = isinstance(strategy.optimizer, torch.optim.SGD)  # others scale their steps
        if not (self.active and plain) or strategy.options.clip_grad_norm is not None:
            return
        rate = max(
            group.get("initial_lr", group["lr"]) for group in strategy.optimizer.param_groups
        )
        most = max(float(part.max()) for part in self._importance.values())
        step = 2 * self.scale * self.strength * rate * most
        if step >= 1:
            logger.warning(
                "%s: strength * learning rate * largest importance = %.3g; at 1 or more, training "
                "is likely to diverge. Set its strength below %.3g, lower the learning rate, or "
                "clip the gradients (in a config cl_strategy.clip_grad_norm).",
                type(self).__name__,
                step,
                self.strength / step,
            )

    def forget(self, names: Collection[str]) -> None:
        """Forget the state of reinitialised parameters."""
        for attribute in self.by_weight:
            setattr(self, attribute, without(getattr(self, attribute), names))

    def cut(self, step: Step) -> None:
        """Slice the state that has the weights' shapes."""
        for attribute in self.by_weight:
            setattr(self, attribute, sliced(getattr(self, attribute), step))

    def penalty(self, model: nn.Module) -> Tensor:
        """Return the penalty of the trainable weights, a scalar."""
        distance = squared_distance(model, self._anchor, self._importance)
        return self.scale * self.strength * distance


def trainable(model: nn.Module) -> Weights:
    """Return a copy of the trainable weights."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def without(weights: Weights, names: Collection[str]) -> Weights:
    """Return the weights without these names."""
    return {name: weight for name, weight in weights.items() if name not in names}


def compared(model: nn.Module, anchor: Weights) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield name, weight and anchor of the trainable weights; of enlarged ones, the old part."""
    for name, weight in model.named_parameters():
        if weight.requires_grad and name in anchor:
            then = anchor[name]
            same = weight.shape == then.shape
            yield name, weight if same else weight[tuple(map(slice, then.shape))], then


def squared_distance(
    model: nn.Module, anchor: Weights, importance: Weights | None = None
) -> Tensor:
    """Return ``sum_k importance_k (theta_k - theta*_k)^2`` over the trainable weights, a scalar.

    Args:
        model: Has the weights theta.
        anchor: theta* by parameter name.
        importance: By parameter name, of the anchor's shapes or scalars; None for ones.
    """
    found = list(compared(model, anchor))
    if not found:
        return torch.zeros((), device=next(model.parameters()).device)
    names, weights, anchors = zip(*found, strict=True)
    factors = None if importance is None else [importance[name] for name in names]
    distance: Tensor = _Distance.apply(list(anchors), factors, *weights)
    return distance


class _Distance(torch.autograd.Function):
    """The squared distance; its own backward pass stores fewer tensors than autograd."""

    @staticmethod
    def forward(
        ctx: torch.autograd.Function,
        anchors: list[Tensor],
        factors: list[Tensor] | None,
        *weights: Tensor,
    ) -> Tensor:
        """Return the distance, and keep importance * (theta - theta*)."""
        gaps = torch._foreach_sub(weights, anchors)
        pulls = gaps if factors is None else torch._foreach_mul(gaps, factors)
        ctx.save_for_backward(*pulls)
        parts = [
            torch.dot(gap.reshape(-1), pull.reshape(-1))
            for gap, pull in zip(gaps, pulls, strict=True)
        ]
        return torch.stack(parts).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: torch.autograd.Function, slope: Tensor) -> tuple[Any, ...]:
        """Return 2 * importance * (theta - theta*), times the incoming gradient."""
        return (None, None, *torch._foreach_mul(ctx.saved_tensors, 2 * slope))


def grown(old: Tensor | None, like: Tensor) -> Tensor:
    """Return a tensor of `like`'s shape: `old` where it exists, `like` elsewhere."""
    if old is None or old.shape == like.shape:
        return like.clone() if old is None else old
    whole = like.clone()
    whole[tuple(map(slice, old.shape))] = old
    return whole
