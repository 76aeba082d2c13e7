"""Pruning while a stream is learnt: the network gets smaller between experiences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from avalanche.training.plugins import EarlyStoppingPlugin
from avalanche.training.plugins.clock import Clock

from cliqa.deploy.pruning.prunable import check_kind
from cliqa.deploy.pruning.prune import check_values, prune_channels
from cliqa.models.pruned import pruning_of
from cliqa.registry import PLUGINS
from cliqa.training.cut_channels import cut_channels
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.state import STATELESS
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

ADVICE = {
    "LoRA": "adapters know the widths of the layers, which are frozen besides, and cannot recover. "
    "Prune the network first, and give its checkpoint to the run with LoRA as load_from; or prune "
    "the finished run of LoRA, whose adapters are merged for that",
    "PackNet": "its weights belong to experiences, whose outputs it promises to keep to the bit. "
    "Prune the network first, and give its checkpoint to the run with PackNet as load_from",
}
"""Why a plugin does not go with pruning, and what does."""


@PLUGINS.register_module()
class ChannelPruning(ContinualPlugin):
    """Remove the least important channels of every layer near the end of some experiences.

    The last `recover_epochs` of such an experience's epochs train what is left, so that what is
    evaluated, remembered and anchored at its end is the smaller network. It goes with memories
    (`Replay`, `DER`), with a teacher (`LwF`, which keeps its channels) and with penalties on the
    weights (`EWC`, `L2`, `SI`, `MAS`, whose anchors lose the same channels).

    See `cliqa.deploy.pruning.prune.prune_channels` for what is pruned of which networks.

    Args:
        ratio: Share of the channels that is removed each time, 0..1. Half of the channels are
            three quarters of the parameters.
        after: Indexes of the experiences that it is done in, from 0; None for every one, which
            leaves ``(1 - ratio) ** T`` of the channels after T experiences.
        round_to: What the channels of a layer are a multiple of.
        recover_epochs: Epochs after the pruning, out of ``train_epochs``, >= 0. With 0 the
            experience ends with a network that is hardly of use before the next one.
        importance: What ranks channels: ``"magnitude"``, ``"bn_scale"`` or ``"random"``.
        ignore: Names of parts whose outputs stay as they are.

    Raises:
        ConfigError: A value is out of range.
    """

    needs_all_epochs = True
    follows_pruning = True

    def __init__(
        self,
        ratio: float = 0.3,
        after: Sequence[int] | None = (0,),
        round_to: int = 16,
        recover_epochs: int = 1,
        importance: str = "magnitude",
        ignore: Sequence[str] = (),
    ) -> None:
        super().__init__()
        check_values(ratio, round_to, importance)
        indexes = [] if after is None else list(after)
        if any(isinstance(k, bool) or not isinstance(k, int) or k < 0 for k in indexes):
            raise ConfigError(
                f"ChannelPruning: after must list experiences by their indexes from 0, got "
                f"{after!r}. Use after=[0, 2], or None for every experience."
            )
        if (
            isinstance(recover_epochs, bool)
            or not isinstance(recover_epochs, int)
            or recover_epochs < 0
        ):
            raise ConfigError(
                f"ChannelPruning: recover_epochs must be an integer >= 0, got {recover_epochs!r}."
            )
        self.ratio = ratio
        self.experiences = None if after is None else tuple(indexes)
        self.round_to = round_to
        self.recover_epochs = recover_epochs
        self.importance = importance
        self.ignore = tuple(ignore)
        self._done = False  # in the experience at hand

    def check(self, plugins: Sequence[Any]) -> None:
        """Refuse plugins whose state would not fit the smaller network.

        Raises:
            ConfigError: With the reason, and an order that works.
        """
        for plugin in plugins:
            if isinstance(plugin, ContinualPlugin):
                goes = plugin.follows_pruning
            else:
                goes = isinstance(plugin, (*STATELESS, Clock, EarlyStoppingPlugin))
            if not goes:
                name = type(plugin).__name__
                why = ADVICE.get(
                    name,
                    "it may keep tensors in the shapes of the network's weights. Drop one of the "
                    "two, or prune the finished run",
                )
                raise ConfigError(f"ChannelPruning does not go with {name}: {why}.")

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Refuse what cannot be pruned, and a plan that leaves no epoch before the pruning.

        Raises:
            ConfigError: There are too few epochs.
            ModelError: The model is of a kind that cannot be taken apart.
        """
        check_kind(strategy.model)
        self._done = False
        if self._is_due(strategy) and self.recover_epochs >= strategy.train_epochs:
            raise ConfigError(
                f"ChannelPruning: recover_epochs={self.recover_epochs} leaves none of the "
                f"{strategy.train_epochs} epochs to train before the pruning. Set fewer, or more "
                "cl_strategy.train_epochs."
            )

    def after_training_epoch(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Prune when so many epochs are left as train what remains."""
        left = strategy.train_epochs - strategy.epochs_done - 1
        if self._is_due(strategy) and not self._done and left <= self.recover_epochs:
            self._prune(strategy)
            self._done = True

    def _is_due(self, strategy: Any) -> bool:  # noqa: ANN401
        """Tell whether the experience at hand is one of those asked for."""
        return self.experiences is None or strategy.step_index in self.experiences

    def _prune(self, strategy: Any) -> None:  # noqa: ANN401
        """Prune the model, the optimizer, and what other plugins keep."""
        images: torch.Tensor = strategy.mb_x
        report = prune_channels(
            strategy.model,
            images.flatten(0, -4)[:1].detach() if images.ndim > 4 else images[:1].detach(),
            ratio=self.ratio,
            round_to=self.round_to,
            importance=self.importance,
            ignore=self.ignore,
            seed=strategy.options.seed,
            prune=lambda step: cut_channels(strategy, [*pruning_of(strategy.model), step]),
        )
        for plugin in strategy.plugins:
            if isinstance(plugin, ContinualPlugin):
                plugin.cut(report.step)
        logger.info("%s", report)

    def state_dict(self) -> dict[str, Any]:
        """Return whether the experience at hand has been pruned; how, the model knows."""
        return {"done": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over."""
        self._done = state["done"]
