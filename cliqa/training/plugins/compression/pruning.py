"""Channel pruning during training: the network gets smaller in some experiences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avalanche.training.plugins import EarlyStoppingPlugin
from avalanche.training.plugins.clock import Clock

from cliqa.deploy.pruning.prune import check_values, prune_channels
from cliqa.models.arguments import check_integer
from cliqa.models.pruned import pruning_of
from cliqa.registry import PLUGINS
from cliqa.training.cut_channels import cut_channels
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.isolation.lora import LoRA
from cliqa.training.state import STATELESS
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

LORA = (
    "below trained adapters the layers are frozen and cannot recover. Prune while the whole "
    "network trains: ChannelPruning after=[0] with LoRA first='full'; or prune the finished run "
    "(cliqa compress prune), which merges the adapters first"
)
"""Why adapters come after pruning."""

ADVICE = {
    "PackNet": "its weights belong to experiences, whose outputs must stay bit-identical. "
    "Prune the network first, and use its checkpoint as load_from of the run with PackNet",
}
"""Why a plugin cannot be combined with pruning, and what to do instead."""


@PLUGINS.register_module()
class ChannelPruning(ContinualPlugin):
    """Remove the least important channels of every layer near the end of some experiences.

    The last `recover_epochs` of such an experience's epochs retrain the smaller network, which is
    then evaluated and anchored. It can be combined with memories (`Replay`, `DER`), a teacher
    (`LwF`, which keeps its channels) and weight penalties (`EWC`, `L2`, `SI`, `MAS`, whose anchors
    are pruned too), and with `LoRA` in this order: ``after=[0]`` prunes while the whole network
    trains (``first="full"``), and the adapters of later experiences have the smaller widths.

    See `cliqa.deploy.pruning.prune.prune_channels` for the supported networks.

    Args:
        ratio: Share of the channels that is removed each time, 0..1. Half of the channels are
            three quarters of the parameters.
        after: Indexes of the experiences to prune in, from 0; None for every one, which
            leaves ``(1 - ratio) ** T`` of the channels after T experiences.
        round_to: The number of channels of a layer stays a multiple of this.
        recover_epochs: Epochs after the pruning, out of ``train_epochs``, >= 0. With 0 the
            network is not retrained before the next experience.
        importance: How channels are ranked: ``"magnitude"``, ``"bn_scale"`` or ``"random"``.
        ignore: Names of parts whose outputs are not pruned.

    Raises:
        ConfigError: A value is out of range.
    """

    needs_all_epochs = True
    follows_pruning = True
    saved = ("_done",)  # the model knows how
    distributed = "every process cuts the same channels, by the same weights"

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
        check_integer("ChannelPruning", 0, recover_epochs=recover_epochs)
        self.ratio = ratio
        self.experiences = None if after is None else tuple(indexes)
        self.round_to = round_to
        self.recover_epochs = recover_epochs
        self.importance = importance
        self.ignore = tuple(ignore)
        self._done = False  # in the current experience

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse plugins whose state would not fit the smaller network."""
        for plugin in plugins:
            if isinstance(plugin, ContinualPlugin):
                goes = plugin.follows_pruning or self._comes_before(plugin)
            else:
                goes = isinstance(plugin, (*STATELESS, Clock, EarlyStoppingPlugin))
            if not goes:
                name = type(plugin).__name__
                why = ADVICE.get(
                    name,
                    "its state may depend on the shapes of the network's weights. Drop one of "
                    "the two, or prune the finished run",
                )
                raise ConfigError(f"ChannelPruning cannot be combined with {name}: {why}.")

    def _comes_before(self, plugin: ContinualPlugin) -> bool:
        """Return whether the network is pruned before a LoRA's adapters are trained.

        Raises:
            ConfigError: It is a LoRA, and would be pruned later.
        """
        if not isinstance(plugin, LoRA):
            return False
        if plugin.first != "full" or self.experiences != (0,):
            after = None if self.experiences is None else list(self.experiences)
            raise ConfigError(
                f"ChannelPruning after={after} with LoRA first='{plugin.first}': {LORA}."
            )
        return True

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse options that leave no epoch before pruning.

        Raises:
            ConfigError: There are too few epochs.
        """
        self._done = False
        if self._is_due(strategy) and self.recover_epochs >= strategy.train_epochs:
            raise ConfigError(
                f"ChannelPruning: recover_epochs={self.recover_epochs} leaves none of the "
                f"{strategy.train_epochs} epochs to train before pruning. Set fewer, or more "
                "cl_strategy.train_epochs."
            )

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Prune when only the retraining epochs are left."""
        left = strategy.train_epochs - strategy.epochs_done - 1
        if self._is_due(strategy) and not self._done and left <= self.recover_epochs:
            self._prune(strategy)
            self._done = True

    def _is_due(self, strategy: Strategy) -> bool:
        """Return whether to prune in the current experience."""
        return self.experiences is None or strategy.step_index in self.experiences

    def _prune(self, strategy: Strategy) -> None:
        """Prune the model, the optimizer, and the state of other plugins."""
        images: Any = strategy.mb_x  # of one size in training
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
