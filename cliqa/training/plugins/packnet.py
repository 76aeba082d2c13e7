"""PackNet: each experience gets weights of its own, packed into one network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.freezing import check_patterns, matches
from cliqa.registry import PLUGINS
from cliqa.training.views.packing import occupancy, share_out
from cliqa.training.views.views import FixedTensors, TaskViews, norm_modules, tensors_of
from cliqa.utils.errors import CliqaError, ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

LEAST_FREE = 0.05
"""Share of the weights that should be free as long as experiences are to come."""


class CapacityError(CliqaError):
    """No weight is free for a new experience."""


@PLUGINS.register_module()
class PackNet(TaskViews):
    """Train the free weights, keep the largest of them for the experience, free the rest.

    Mallya & Lazebnik, "PackNet: Adding multiple tasks to a single network by iterative pruning",
    CVPR 2018. The last `post_epochs` of an experience's epochs retrain the kept weights after the
    pruning. Weights of earlier experiences take part in the forward pass and are put back to the
    bit after every step, so a view of an earlier experience gives the very outputs that it gave
    then. Heads are kept per experience; biases and normalisation layers are learnt in the first
    experience and fixed from then on, running statistics too, or kept per experience (`norm`).

    Args:
        prune: Share of the weights free at the time that is freed again, 0..1: one number, or one
            an experience (the last one's should be 0). None for equal shares of the network:
            1 - 1/(T - t) in experience t of T, 0 in the last one.
        post_epochs: Epochs after the pruning, out of ``train_epochs``; None for a third, at least
            one.
        norm: ``"frozen"``, or ``"per_task"`` normalisation layers.
        heads: Names of the parts that each experience has of its own.
        inference: As `TaskViews`.
        centroids: As `TaskViews`.
        temperature: As `TaskViews`.

    Raises:
        ConfigError: A value is out of range.
    """

    needs_all_epochs = True

    def __init__(
        self,
        prune: float | Sequence[float] | None = None,
        post_epochs: int | None = None,
        norm: str = "frozen",
        heads: Sequence[str] = ("head",),
        inference: str = "last",
        centroids: int = 8,
        temperature: float = 32.0,
    ) -> None:
        super().__init__(inference, centroids, temperature)
        shares = [prune] if isinstance(prune, (int, float)) else list(prune or [])
        if any(not 0 <= share < 1 for share in shares):
            raise ConfigError(f"PackNet: prune must lie in 0..1, below 1, got {prune!r}.")
        if post_epochs is not None and (not isinstance(post_epochs, int) or post_epochs < 0):
            raise ConfigError(f"PackNet: post_epochs must be an integer >= 0, got {post_epochs!r}.")
        if norm not in ("frozen", "per_task"):
            raise ConfigError(f"PackNet: norm must be 'frozen' or 'per_task', got {norm!r}.")
        self.prune = prune
        self.post_epochs = post_epochs
        self.norm = norm
        self.heads = tuple(heads)
        self._owner: dict[str, Tensor] = {}  # uint8: 0 free, else the experience + 1
        self._pruned = False
        self._fixed: FixedTensors | None = None
        self._kept: dict[str, Tensor] = {}  # what weights that do not train are put back to

    # ---------------------------------------------------------------- which tensors are what

    def own_names(self, model: nn.Module) -> list[str]:
        """Return the tensors of the heads and, where asked for, of the normalisation layers."""
        norms = tuple(norm_modules(model)) if self.norm == "per_task" else ()
        patterns = [*self.heads, *norms]
        return [name for name in tensors_of(model) if matches(name, patterns)]

    def packed_names(self, model: nn.Module) -> list[str]:
        """Return the weights that are shared out: matrices and kernels outside the heads."""
        own = set(self.own_names(model))
        return [n for n, p in model.named_parameters() if p.dim() > 1 and n not in own]

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Look at what is free, and note what must not change."""
        super().before_training_exp(strategy)
        model = strategy.model
        if not self._owner:
            check_patterns(model, self.heads, "PackNet: heads")
            self._owner = {
                name: torch.zeros_like(tensors_of(model)[name], dtype=torch.uint8)
                for name in self.packed_names(model)
            }
        self._check_values(strategy)
        self._pruned = False
        self._hold(model)

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Keep fixed normalisation layers from counting batches."""
        if self.learnt and self.norm == "frozen":
            for module in norm_modules(strategy.model).values():
                module.eval()

    def after_update(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Put back what is not the experience's to change."""
        own = tensors_of(strategy.model)
        with torch.no_grad():
            for name, owner in self._owner.items():
                trains = owner == (self.learnt + 1 if self._pruned else 0)
                own[name].copy_(torch.where(trains, own[name], self._kept[name]))
        if self._fixed is not None:
            self._fixed.put_back(strategy.model)

    def after_training_epoch(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Prune when so many epochs are left as retrain the kept weights."""
        left = strategy.train_epochs - strategy.epochs_done - 1
        if not self._pruned and left <= self._post(strategy):
            self._share_out(strategy)

    def after_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Keep the experience's view, and none of the optimizer's averages of its weights."""
        super().after_training_exp(strategy)
        strategy.optimizer.state.clear()

    # ---------------------------------------------------------------- pruning

    def _post(self, strategy: Any) -> int:  # noqa: ANN401
        """Return the epochs after the pruning."""
        if self.post_epochs is not None:
            return self.post_epochs
        return min(max(1, strategy.train_epochs // 3), strategy.train_epochs - 1)

    def _share(self, strategy: Any) -> float:  # noqa: ANN401
        """Return the share of the free weights that this experience gives back."""
        left = len(strategy.experience.origin_stream) - self.learnt
        if self.prune is None:
            return 1 - 1 / max(1, left)
        if isinstance(self.prune, (int, float)):
            return float(self.prune) if left > 1 else 0.0
        return float(self.prune[self.learnt])

    def _share_out(self, strategy: Any) -> None:  # noqa: ANN401
        """Keep the largest of the free weights of every tensor for this experience."""
        own = tensors_of(strategy.model)
        share_out(own, self._owner, self._share(strategy), self.learnt + 1)
        strategy.optimizer.state.clear()
        self._pruned = True
        self._hold(strategy.model)
        self._warn(strategy)

    def _hold(self, model: nn.Module) -> None:
        """Note the values of what must not change."""
        own = tensors_of(model)
        self._kept = {name: own[name].detach().clone() for name in self._owner}
        apart = {*self._owner, *self.own_names(model)}
        fixed = [name for name in own if name not in apart] if self.learnt else []
        self._fixed = FixedTensors(model, fixed)

    def _check_values(self, strategy: Any) -> None:  # noqa: ANN401
        """Refuse what cannot work, in the first experience what would not in a later one.

        Raises:
            ConfigError: There are too few shares or epochs, or a share leaves nothing.
            CapacityError: No weight is free.
        """
        if self._post(strategy) >= strategy.train_epochs:
            raise ConfigError(
                f"PackNet: post_epochs={self._post(strategy)} leaves none of the "
                f"{strategy.train_epochs} epochs to train before the pruning."
            )
        count = len(strategy.experience.origin_stream)
        if isinstance(self.prune, Sequence) and len(self.prune) < count:
            raise ConfigError(
                f"PackNet: prune has {len(self.prune)} shares, too few for {count} experiences. "
                "Give one an experience."
            )
        early = list(self.prune)[: count - 1] if isinstance(self.prune, Sequence) else [self.prune]
        if count > 1 and 0 in early:
            raise ConfigError(
                f"PackNet: prune={self.prune!r} frees no weight for the experiences after one that "
                "gives back 0. Only the last share may be 0."
            )
        mine = (0, self.learnt + 1)  # a resumed run may have shared them out already
        if not any(bool((owner == k).any()) for owner in self._owner.values() for k in mine):
            raise CapacityError(
                f"PackNet: all weights belong to the {self.learnt} experiences learnt so far, none "
                "is free for the next one. Set a larger prune, or None for equal shares."
            )

    def _warn(self, strategy: Any) -> None:  # noqa: ANN401
        """Say so where little is left for the experiences to come."""
        free = 1 - sum(occupancy(self._owner))
        to_come = len(strategy.experience.origin_stream) - self.learnt - 1
        if to_come > 0 and free < LEAST_FREE:
            logger.warning(
                "PackNet: %.1f %% of the weights are free for %d more experience(s). Set a larger "
                "prune, or None for equal shares.",
                100 * free,
                to_come,
            )

    # ---------------------------------------------------------------- views and state

    def show(self, model: nn.Module, view: int) -> None:
        """Show the weights of an experience and of those before it, and its own tensors."""
        super().show(model, view)
        own = tensors_of(model)
        held = self._held or own
        with torch.no_grad():
            for name, owner in self._owner.items():
                seen = (owner > 0) & (owner <= view + 1)
                own[name].copy_(held[name] * seen.to(held[name].dtype))

    def state_dict(self) -> dict[str, Any]:
        """Return the owners, the phase, and the views."""
        return {**super().state_dict(), "owner": self._owner, "pruned": self._pruned}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        super().load_state_dict(state)
        self._owner, self._pruned = state["owner"], state["pruned"]
