"""The iterations of an epoch: forward, backward, and an optimizer step per batch or per several."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import Any

import torch
from avalanche.training.plugins import EarlyStoppingPlugin
from avalanche.training.plugins.clock import Clock
from avalanche.training.templates.update_type.sgd_update import SGDUpdate
from torch import Tensor

from cliqa.losses.ratings import wanted_by
from cliqa.training.loop.batching import apply_model
from cliqa.training.loop.compiled import CompiledPasses
from cliqa.training.loop.fastest_step import fastest_step
from cliqa.training.loop.precision import Computation
from cliqa.training.loop.stream_data import StreamData, ratings_in
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.state import plugin_keys
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger
from cliqa.utils.processes.group import from_main

logger = get_logger(__name__)

OF_ONE_BATCH = (
    "before_training_iteration",
    "after_training_iteration",
    "after_backward",
    "before_update",
    "after_update",
)
"""Hooks in which Avalanche's plugins assume that every batch ends with an optimizer step."""


class Steps(StreamData):
    """The training iterations; mixed in before the strategy's class.

    With ``accumulate=k`` the gradients of k batches are combined into that of their mean loss over
    samples, and one optimizer step follows; the last step of an epoch may have fewer batches. The
    hooks `after_backward`, `before_update` and `after_update` are called once per step, all others
    once per batch.

    Attributes:
        updated: The current batch ended with an optimizer step.
        compiled: The compiled training passes; None without ``compile=True``.
    """

    updated = True
    compiled: CompiledPasses | None = None
    _nominal: int
    _seen: int

    def check_accumulation(self) -> None:
        """Refuse gradient accumulation with methods that count every batch as a step.

        Raises:
            ConfigError: The strategy, or a plugin of Avalanche's, does so.
        """
        if self.options.accumulate == 1:
            return
        found = [
            type(plugin).__name__
            for _, plugin in plugin_keys(self)
            if not isinstance(plugin, (ContinualPlugin, Clock, EarlyStoppingPlugin))
            and any(_defines(type(plugin), hook) for hook in OF_ONE_BATCH)
        ]
        loops = [owner for owner in type(self).__mro__ if "training_epoch" in vars(owner)]
        found += [owner.__name__ for owner in loops[: loops.index(SGDUpdate)] if owner is not Steps]
        if found:
            raise ConfigError(
                f"cl_strategy.accumulate={self.options.accumulate}: {found[0]} treats every batch "
                "as an optimizer step. Set accumulate=1, or use one of this package's "
                "plugins instead."
            )

    def choose_precision(self, image: Tensor) -> None:
        """Let a measurement choose the precision, with ``amp="auto"`` before any training.

        Args:
            image: A training sample (...), which is repeated to a batch.
        """
        if not getattr(self, "needs_optimizer", True):
            self.precision.use(Computation())  # it takes no training step
        if self.precision.measures:
            images = image.expand(self.train_mb_size, *image.shape).contiguous()
            chosen, seconds = from_main(fastest_step(self.model, images, self.device))
            self.precision.use(chosen)
            self.precision.arrange(self.model)
            shown = "; ".join(
                f"{kind}: {1000 * seconds[kind]:.1f} ms" for kind in seconds if kind != chosen
            )
            logger.info(
                "amp='auto': computes in %s (%.1f ms a pass when measured; %s)",
                *(chosen, 1000 * seconds[chosen], shown),
            )

    @property
    def steps_per_epoch(self) -> int:
        """The optimizer steps of an epoch."""
        return max(1, math.ceil(len(self.dataloader) / self.options.accumulate))

    def training_epoch(self, **kwargs: object) -> None:
        """Train on every batch once."""
        if self.options.accumulate == 1:
            super().training_epoch(**kwargs)
            return
        last = len(self.dataloader) - 1
        for index, batch in enumerate(self.dataloader):
            self.mbatch = batch
            if self._stop_training:
                break
            place = index % self.options.accumulate
            self.updated = place == self.options.accumulate - 1 or index == last
            self._one_batch(place == 0, **kwargs)

    def _one_batch(self, first: bool, **kwargs: object) -> None:
        """Add a batch's gradient to the accumulated ones, and step after the last of them."""
        strategy: Any = self
        strategy._unpack_minibatch()
        strategy._before_training_iteration(**kwargs)
        if first:
            self.optimizer.zero_grad()
            self._nominal, self._seen = self.options.accumulate * len(self.mb_y), 0
        self.loss = strategy._make_empty_loss()
        strategy._before_forward(**kwargs)
        strategy.mb_output = self.forward()
        strategy._after_forward(**kwargs)
        self.loss = self.loss + strategy.criterion()
        strategy._before_backward(**kwargs)
        self._seen += len(self.mb_y)
        weight = len(self.mb_y) / self._nominal
        with nullcontext() if self.updated else self.exchange.later(self.model):
            loss = self.exchange.of(self.model, self.loss * weight)
            self.precision.add_gradient(loss, self.retain_graph)
        if self.updated:
            self.precision.unscale(self.optimizer, self._nominal / self._seen)
            strategy._after_backward(**kwargs)
            strategy._before_update(**kwargs)
            self.optimizer_step()
            strategy._after_update(**kwargs)
        strategy._after_training_iteration(**kwargs)

    def forward(self) -> Tensor:
        """Return the model's output for the current batch, averaged over crops, in float32.

        Of several processes each puts its share through the model, and has the output of all.
        """
        with self.precision.autocast(), self.exchange.pass_over(self.model, self.mbatch):
            if self.compiled is not None and self.compiled.takes(self.model):
                output = self.compiled(self.mb_x)
            elif hasattr(self.experience, "task_labels") and not self.exchange:
                output = super().forward()  # type: ignore[safe-super]
            else:
                output = apply_model(self.model, self.mb_x)
        return self.whole(output.float() if self.precision.amp else output)

    def criterion(self) -> Tensor:
        """Return the loss of the current batch; Avalanche's own but for losses of ratings."""
        if wanted_by(self._criterion) is None:
            return super().criterion()  # type: ignore[misc]
        return self.task_loss(self.mb_output, self.mb_y, ratings_in(self.mbatch))

    def backward(self) -> None:
        """Run the backward pass; the gradients are the same in all processes."""
        loss = self.exchange.of(self.model, self.loss)
        self.precision.backward(loss, self.optimizer, self.retain_graph)

    def _before_training_iteration(self, **kwargs: object) -> None:
        self.exchange.at(self.step_index, self.epochs_done, self.clock.train_epoch_iterations)
        super()._before_training_iteration(**kwargs)  # type: ignore[misc]

    def _check_distributed_training_compatibility(self) -> bool:
        """Return that all is well: `check_processes` refuses what is not, where this would warn."""
        return True

    def check_model_and_optimizer(self, **kwargs: object) -> None:
        """Adapt the model to the experience and collect its parameters."""
        super().check_model_and_optimizer(  # type: ignore[misc]
            reset_optimizer_state=self.options.reset_optimizer, **kwargs
        )

    def optimizer_step(self) -> None:
        """Clip the gradient if asked to, and take a step."""
        if self.options.clip_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.options.clip_grad_norm)
        self.precision.step(self.optimizer)


def _defines(plugin: type, hook: str) -> bool:
    """Return whether an Avalanche plugin overrides a hook."""
    owner = next((base.__module__ for base in plugin.__mro__ if hook in vars(base)), "")
    return owner.startswith("avalanche.") and not owner.endswith(".core")
