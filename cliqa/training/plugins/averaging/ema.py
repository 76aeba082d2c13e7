"""An exponential moving average of the weights, used instead of the last weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cliqa.models.arguments import check_below_one
from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.training.views.views import Tensors, copied_tensors, restore_tensors, tensors_of
from cliqa.utils.errors import ConfigError


@PLUGINS.register_module()
class EMA(ContinualPlugin):
    """Average the weights exponentially: ``a <- d a + (1 - d) w`` after every step.

    Polyak & Juditsky, 1992; with the warm-up of Tan & Le, "EfficientNet", 2019:
    ``d = min(decay, (1 + t) / (10 + t))`` in step t, without which the average of a short
    experience would stay near its start.

    Between two epochs, and from an experience's end on, the model *is* the average: that is what
    validation and evaluation see, what a checkpoint's model holds, and what other plugins measure
    or anchor at the end. Running statistics of normalisation layers are averaged like weights. An
    experience starts its average from the weights that it starts from, which are the average of the
    one before; the optimizer's statistics stay those of the trained weights.

    The average is PyTorch's (`torch.optim.swa_utils`). Its `AveragedModel` is not used: it keeps a
    second model, where here the model itself is the average and a checkpoint holds it once; it
    starts from the weights after the first step; and it averages counters as if they were weights.

    Args:
        decay: d, the share of the old average, 0..1, below 1.
        warmup: Use a smaller decay at an experience's start.

    Raises:
        ConfigError: `decay` is out of range.
    """

    saved = ("_steps", "_trained")
    distributed = "from weights and gradients, which are the same in every process"

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        super().__init__()
        check_below_one("EMA", decay=decay)
        self.decay = decay
        self.warmup = warmup
        self._steps = 0
        self._average: Tensors = {}  # during an epoch
        self._trained: Tensors = {}  # between epochs, when the model is the average

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse methods that need all epochs of an experience."""
        for plugin in plugins:
            if isinstance(plugin, ContinualPlugin) and plugin.needs_all_epochs:
                name = type(plugin).__name__
                raise ConfigError(
                    f"EMA: {name} changes weights in the middle of an experience, which an average "
                    f"over its epochs would undo. Drop the plugin 'EMA', or '{name}'."
                )

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Reset the average; the first iteration starts a new one."""
        self._steps, self._average, self._trained = 0, {}, {}

    def before_training_iteration(self, strategy: Strategy, **_: object) -> None:
        """Restore the trained weights at an epoch's start."""
        if self._average:
            return
        self._average = copied_tensors(strategy.model)
        restore_tensors(strategy.model, self._trained)
        self._trained = {}

    def after_training_iteration(self, strategy: Strategy, **_: object) -> None:
        """Update the average, after other plugins have changed the step's weights."""
        if strategy.updated:
            self.average(tensors_of(strategy.model))

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Load the average into the model."""
        self._trained = copied_tensors(strategy.model)
        restore_tensors(strategy.model, self._average)
        self._average = {}

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Drop the trained weights: the model keeps the average."""
        self._trained = {}

    @torch.no_grad()
    def average(self, weights: Tensors) -> None:
        """Update the average with a step's weights; integer buffers are copied."""
        warm = (1 + self._steps) / (10 + self._steps) if self.warmup else 1.0
        decay = min(self.decay, warm)
        self._steps += 1
        averaged = {name: w for name, w in weights.items() if w.is_floating_point()}
        if averaged:  # as a difference: a frozen weight stays bit-identical
            own = [self._average[name] for name in averaged]
            get_ema_multi_avg_fn(decay)(own, [w.detach() for w in averaged.values()], self._steps)
        for name in weights.keys() - averaged.keys():
            self._average[name].copy_(weights[name])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state; the average is the model's own state."""
        super().load_state_dict(state)
        self._average = {}
