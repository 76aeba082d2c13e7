"""Penalties on the weights alone: their values, their gradients, and what they have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cliqa.models.pruned import Step, sliced
from cliqa.training.importance.per_sample import Weights
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


class WeightPenalty(ContinualPlugin):
    """A penalty that depends on the weights and on no sample.

    Args:
        strength: Factor of the penalty, >= 0.

    Raises:
        ConfigError: `strength` is negative.
    """

    def __init__(self, strength: float) -> None:
        super().__init__()
        if not strength >= 0:
            raise ConfigError(f"{type(self).__name__}: strength must be >= 0, got {strength!r}.")
        self.strength = strength

    @property
    @abstractmethod
    def active(self) -> bool:
        """Tell whether there is anything to compare the weights with."""

    @abstractmethod
    def penalty(self, model: nn.Module) -> Tensor:
        """Return what is added to the loss, a scalar."""

    def gradient(self, model: nn.Module) -> Weights:
        """Return the penalty's gradient by parameter name, where it has one."""
        weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        with torch.enable_grad():
            penalty = self.penalty(model)
        if not penalty.requires_grad:  # all that it compared is frozen now
            return {}
        found = torch.autograd.grad(penalty, list(weights.values()), allow_unused=True)
        return {name: g for name, g in zip(weights, found, strict=True) if g is not None}

    @abstractmethod
    def forget(self, names: Collection[str]) -> None:
        """Let go of parameters that another plugin starts anew, whose past says nothing of them."""

    def before_backward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Add the penalty to the loss."""
        if self.active and self.strength > 0:
            strategy.loss = strategy.loss + self.penalty(strategy.model)


class QuadraticPenalty(WeightPenalty):
    """``scale * strength * sum_k importance_k (theta_k - theta*_k)^2``.

    Weights that are newer than the anchor are free; of those that have grown, the old part is
    compared.
    """

    scale = 0.5
    follows_pruning = True

    def __init__(self, strength: float) -> None:
        super().__init__(strength)
        self._importance: Weights = {}
        self._anchor: Weights = {}  # theta*

    @property
    def active(self) -> bool:
        """Tell whether an experience has been learnt."""
        return bool(self._anchor)

    @property
    def importance(self) -> Weights:
        """The weights' importances by parameter name."""
        return self._importance

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Warn where plain gradient descent would overshoot the anchor further at every step."""
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
                "%s: strength * learning rate * largest importance = %.3g; from 1 on, training is "
                "likely to diverge. Set its strength below %.3g, lower the learning rate, or set "
                "cl_strategy.clip_grad_norm.",
                type(self).__name__,
                step,
                self.strength / step,
            )

    def forget(self, names: Collection[str]) -> None:
        """Let go of the importances and anchors of parameters that start anew."""
        self._importance = without(self._importance, names)
        self._anchor = without(self._anchor, names)

    def cut(self, step: Step) -> None:
        """Slice the importances and the anchor."""
        self._importance = sliced(self._importance, step)
        self._anchor = sliced(self._anchor, step)

    def penalty(self, model: nn.Module) -> Tensor:
        """Return the penalty of the trainable weights, a scalar."""
        distance = squared_distance(model, self._anchor, self._importance)
        return self.scale * self.strength * distance

    def state_dict(self) -> dict[str, Any]:
        """Return the importances and the anchor."""
        return {"importance": self._importance, "anchor": self._anchor}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take importances and an anchor over."""
        self._importance = state["importance"]
        self._anchor = state["anchor"]


def trainable(model: nn.Module) -> Weights:
    """Return a copy of the trainable weights."""
    return {n: p.detach().clone() for n, p in model.named_parameters() if p.requires_grad}


def without(weights: Weights, names: Collection[str]) -> Weights:
    """Return the weights of all other names."""
    return {name: weight for name, weight in weights.items() if name not in names}


def compared(model: nn.Module, anchor: Weights) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield name, weight and anchor of the trainable weights; of grown ones, the old part."""
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
        importance: By parameter name, of the anchor's shapes; None for ones.
    """
    found = list(compared(model, anchor))
    if not found:
        return torch.zeros((), device=next(model.parameters()).device)
    names, weights, anchors = zip(*found, strict=True)
    factors = None if importance is None else [importance[name] for name in names]
    distance: Tensor = _Distance.apply(list(anchors), factors, *weights)
    return distance


class _Distance(torch.autograd.Function):
    """The squared distance; a backward pass of its own saves most of autograd's tensors."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
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
    def backward(ctx: Any, slope: Tensor) -> tuple[Any, ...]:  # noqa: ANN401
        """Return 2 * importance * (theta - theta*), times what comes from above."""
        return (None, None, *torch._foreach_mul(ctx.saved_tensors, 2 * slope))


def grown(old: Tensor | None, like: Tensor) -> Tensor:
    """Return a tensor of `like`'s shape: `old` where it was, `like` where it is new."""
    if old is None or old.shape == like.shape:
        return like.clone() if old is None else old
    whole = like.clone()
    whole[tuple(map(slice, old.shape))] = old
    return whole
