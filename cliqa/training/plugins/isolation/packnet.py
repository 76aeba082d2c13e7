"""PackNet: each experience owns a part of one network's weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_choice, check_integer
from cliqa.models.freezing import check_patterns, matches
from cliqa.registry import PLUGINS
from cliqa.training.strategy import Strategy
from cliqa.training.views.gates import GateConfig
from cliqa.training.views.views import (
    TaskViews,
    Tensors,
    copied_tensors,
    norm_modules,
    restore_tensors,
    tensors_of,
)
from cliqa.utils.errors import CliqaError, ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

LEAST_FREE = 0.05
"""A smaller share of free weights is warned of before the last experience."""

LEAST_STEPS = 100
"""An experience with fewer optimizer steps is warned of: pruned weights have not learnt much."""


class CapacityError(CliqaError):
    """No weight is left for a new experience."""


@PLUGINS.register_module()
class PackNet(TaskViews):
    """Train the free weights, keep the largest of them for the experience, free the rest.

    Mallya & Lazebnik, "PackNet: Adding multiple tasks to a single network by iterative pruning",
    CVPR 2018. The last `post_epochs` of an experience's epochs retrain the kept weights after the
    pruning. Weights of earlier experiences take part in the forward pass and are restored after
    every step, so that the view of an earlier experience keeps bit-identical outputs. Heads are
    kept per experience; biases and normalisation layers are trained in the first experience and
    then fixed, with running statistics, or kept per experience (`norm`).

    Args:
        prune: Share of the free weights that stays free after an experience, 0..1: one number,
            or one per experience (0 in the last one). None for equal shares of the network:
            1 - 1/(T - t) in experience t of T, 0 in the last one.
        post_epochs: Epochs after the pruning, out of ``train_epochs``; None for a third, at least
            one.
        norm: ``"frozen"``, or ``"per_task"`` normalisation layers.
        heads: Names of the parts that each experience has its own copy of.
        inference: As `TaskViews`.
        gate: As `TaskViews`.
        centroids: As `TaskViews`.
        temperature: As `TaskViews`.

    Raises:
        ConfigError: A value is out of range.
    """

    needs_all_epochs = True
    saved = (*TaskViews.saved, "_owner", "_pruned")
    distributed = "the masks follow from weights, which are the same in every process"

    def __init__(
        self,
        prune: float | Sequence[float] | None = None,
        post_epochs: int | None = None,
        norm: str = "frozen",
        heads: Sequence[str] = ("head",),
        inference: str = "last",
        gate: GateConfig = None,
        centroids: int | None = None,
        temperature: float | None = None,
    ) -> None:
        super().__init__(inference, gate, centroids, temperature)
        shares = [prune] if isinstance(prune, (int, float)) else list(prune or [])
        if any(not 0 <= share < 1 for share in shares):
            raise ConfigError(f"PackNet: prune must lie in 0..1, below 1, got {prune!r}.")
        check_integer("PackNet", 0, post_epochs=0 if post_epochs is None else post_epochs)
        check_choice("PackNet", ("frozen", "per_task"), norm=norm)
        self.prune = prune
        self.post_epochs = post_epochs
        self.norm = norm
        self.heads = tuple(heads)
        self._owner: dict[str, Tensor] = {}  # uint8: 0 free, else the experience + 1
        self._pruned = False
        self._fixed: Tensors = {}
        self._kept: dict[str, Tensor] = {}  # the values that fixed weights are restored to

    def check_room(self, to_come: int) -> None:
        """Refuse a stream that has grown where no weight is free.

        Raises:
            CapacityError: With how to plan for it.
        """
        in_progress = any(bool((o == self.learnt + 1).any()) for o in self._owner.values())
        free = any(bool((owner == 0).any()) for owner in self._owner.values())
        if self._owner and not free and to_come > in_progress:
            raise CapacityError(
                "PackNet: the experiences learnt so far own all weights, for the last one of a "
                "stream takes what is left. Plan a stream that grows from its start: "
                "prune=(0.75, 0.67, 0.5, 0), a share for each experience."
            )

    def uses_length(self) -> str:
        """Return how the shares follow from the stream's length."""
        return "" if isinstance(self.prune, Sequence) else "its shares follow the stream's length"

    # ---------------------------------------------------------------- which tensors are what

    def own_names(self, model: nn.Module) -> list[str]:
        """Return the tensors of the heads, and of normalisation layers kept per task."""
        norms = tuple(norm_modules(model)) if self.norm == "per_task" else ()
        patterns = [*self.heads, *norms]
        return [name for name in tensors_of(model) if matches(name, patterns)]

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Check the free weights, and store the values of fixed ones."""
        super().before_training_exp(strategy)
        model = strategy.model
        if not self._owner:
            check_patterns(model, self.heads, "PackNet: heads")
            own = set(self.own_names(model))  # the others that are matrices and kernels are packed
            self._owner = {
                name: torch.zeros(weight.shape, dtype=torch.uint8, device=weight.device)
                for name, weight in model.named_parameters()
                if weight.dim() > 1 and name not in own
            }
        self._check_values(strategy)
        self._warn_of_few_steps(strategy)
        self._pruned = False
        self._hold(model)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Keep fixed normalisation layers in evaluation mode."""
        if self.learnt and self.norm == "frozen":
            for module in norm_modules(strategy.model).values():
                module.eval()

    def after_update(self, strategy: Strategy, **_: object) -> None:
        """Restore the weights that the experience must not change."""
        own = tensors_of(strategy.model)
        with torch.no_grad():
            for name, owner in self._owner.items():
                trains = owner == (self.learnt + 1 if self._pruned else 0)
                own[name].copy_(torch.where(trains, own[name], self._kept[name]))
        restore_tensors(strategy.model, self._fixed)

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Prune when only the retraining epochs are left."""
        left = strategy.train_epochs - strategy.epochs_done - 1
        if not self._pruned and left <= self._post(strategy):
            self._assign_weights(strategy)

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Store the experience's view, and reset the optimizer's statistics."""
        super().after_training_exp(strategy)
        strategy.optimizer.state.clear()

    # ---------------------------------------------------------------- pruning

    def _post(self, strategy: Strategy) -> int:
        """Return the epochs after the pruning."""
        if self.post_epochs is not None:
            return self.post_epochs
        return min(max(1, strategy.train_epochs // 3), strategy.train_epochs - 1)

    def _share(self, strategy: Strategy) -> float:
        """Return the share of the free weights that stays free after this experience."""
        left = len(strategy.experience.origin_stream) - self.learnt
        if self.prune is None:
            return 1 - 1 / max(1, left)
        if isinstance(self.prune, (int, float)):
            return float(self.prune) if left > 1 else 0.0
        return float(self.prune[self.learnt])

    def _assign_weights(self, strategy: Strategy) -> None:
        """Assign the largest free weights of every tensor to this experience."""
        own = tensors_of(strategy.model)
        assign_largest(own, self._owner, self._share(strategy), self.learnt + 1)
        strategy.optimizer.state.clear()
        self._pruned = True
        self._hold(strategy.model)
        self._warn(strategy)

    def _hold(self, model: nn.Module) -> None:
        """Store the values of fixed tensors."""
        own = tensors_of(model)
        self._kept = copied_tensors(model, self._owner)
        apart = {*self._owner, *self.own_names(model)}
        fixed = [name for name in own if name not in apart] if self.learnt else []
        self._fixed = copied_tensors(model, fixed)

    def _check_values(self, strategy: Strategy) -> None:
        """Refuse impossible values early, in the first experience.

        Raises:
            ConfigError: There are too few shares or epochs, or a share frees no weight.
            CapacityError: No weight is free.
        """
        if self._post(strategy) >= strategy.train_epochs:
            raise ConfigError(
                f"PackNet: post_epochs={self._post(strategy)} leaves none of the "
                f"{strategy.train_epochs} epochs to train before pruning."
            )
        count = len(strategy.experience.origin_stream)
        if isinstance(self.prune, Sequence) and len(self.prune) < count:
            raise ConfigError(
                f"PackNet: prune has {len(self.prune)} shares, too few for {count} experiences. "
                "Give one per experience."
            )
        early = list(self.prune)[: count - 1] if isinstance(self.prune, Sequence) else [self.prune]
        if count > 1 and 0 in early:
            raise ConfigError(
                f"PackNet: prune={self.prune!r} frees no weight for the experiences after one that "
                "gives back 0. Only the last share may be 0."
            )
        mine = (0, self.learnt + 1)  # a resumed run may have assigned them already
        if not any(bool((owner == k).any()) for owner in self._owner.values() for k in mine):
            raise CapacityError(
                f"PackNet: all weights belong to the {self.learnt} experiences learnt so far, none "
                "is free for the next one. Set a larger prune, or None for equal shares."
            )

    def _warn_of_few_steps(self, strategy: Strategy) -> None:
        """Warn of an experience too small to train and retrain its weights."""
        if not hasattr(strategy, "dataloader"):
            return  # a loop of one's own
        epochs, batch = strategy.train_epochs, strategy.train_mb_size
        steps = epochs * -(-len(strategy.dataloader) // strategy.options.accumulate)
        if 0 < steps < LEAST_STEPS:
            factor = -(-LEAST_STEPS // steps)
            logger.warning(
                "PackNet: experience %d has %d optimizer steps, too few for weights that are "
                "pruned. Set cl_strategy.train_mb_size=%d, or cl_strategy.train_epochs=%d.",
                *(self.learnt, steps, max(1, batch // factor), epochs * factor),
            )

    def _warn(self, strategy: Strategy) -> None:
        """Warn if few weights are free for later experiences."""
        free = 1 - sum(occupancy(self._owner))
        to_come = len(strategy.experience.origin_stream) - self.learnt - 1
        if to_come > 0 and free < LEAST_FREE:
            logger.warning(
                "PackNet: %.1f %% of the weights are free for %d more experience(s). Set a larger "
                "prune, or None for equal shares.",
                *(100 * free, to_come),
            )

    # ---------------------------------------------------------------- views

    def show(self, model: nn.Module, view: int) -> None:
        """Load the weights of an experience and of earlier ones, and its own tensors."""
        super().show(model, view)
        own = tensors_of(model)
        held = self._held or own
        with torch.no_grad():
            for name, owner in self._owner.items():
                seen = (owner > 0) & (owner <= view + 1)
                own[name].copy_(held[name] * seen.to(held[name].dtype))


def assign_largest(weights: Tensors, owners: Tensors, freed: float, experience: int) -> None:
    """Assign the largest free weights of every tensor to an experience; set the rest to zero.

    Args:
        weights: Tensors by name; changed in place.
        owners: uint8 tensors of the same shapes: 0 is free; changed in place.
        freed: Share of each tensor's free weights that stays free, 0..1.
        experience: The owner's number, from 1.
    """
    with torch.no_grad():
        for name, owner in owners.items():
            free = (owner == 0).flatten().nonzero().flatten()
            sizes = weights[name].detach().abs().flatten()[free]
            count = len(free) - round(freed * len(free))
            kept = free[sizes.argsort(descending=True, stable=True)[:count]]
            owner.view(-1)[kept] = experience
            weights[name].mul_((owner > 0).to(weights[name].dtype))


def occupancy(owners: Tensors) -> list[float]:
    """Return the share of all weights that each experience owns; the rest is free.

    >>> occupancy({"w": torch.tensor([0, 1, 1, 2], dtype=torch.uint8)})
    [0.5, 0.25]
    """
    total = sum(owner.numel() for owner in owners.values())
    last = max((int(owner.max()) for owner in owners.values()), default=0)
    counts = [sum(int((o == k).sum()) for o in owners.values()) for k in range(1, last + 1)]
    return [count / max(1, total) for count in counts]
