"""An average of the weights over the steps, evaluated and kept instead of the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.views.views import Tensors, tensors_of
from cliqa.utils.errors import ConfigError


@PLUGINS.register_module()
class EMA(ContinualPlugin):
    """Average the weights exponentially: ``a <- d a + (1 - d) w`` after every step.

    Polyak & Juditsky, 1992; with the warm-up of Tan & Le, "EfficientNet", 2019:
    ``d = min(decay, (1 + t) / (10 + t))`` in step t, without which a short experience would hardly
    leave its start.

    Between two epochs, and from an experience's end on, the model *is* the average: that is what
    validation and evaluation see, what a checkpoint's model holds, and what other plugins measure
    or anchor at the end. Running statistics of normalisation layers are averaged like weights. An
    experience starts its average from the weights that it starts from, which are the average of the
    one before; the optimizer's statistics stay those of the trained weights.

    Args:
        decay: d, the share of the old average, 0..1, below 1.
        warmup: Average over fewer steps at an experience's start.

    Raises:
        ConfigError: `decay` is out of range.
    """

    def __init__(self, decay: float = 0.999, warmup: bool = True) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ConfigError(f"EMA: decay must lie in 0..1, below 1, got {decay!r}.")
        self.decay = decay
        self.warmup = warmup
        self._steps = 0
        self._average: Tensors = {}  # while an epoch goes on
        self._trained: Tensors = {}  # between epochs, when the model is the average

    def check(self, plugins: Sequence[Any]) -> None:
        """Refuse methods that change the weights by a plan.

        Raises:
            ConfigError: One of the plugins does.
        """
        for plugin in plugins:
            if isinstance(plugin, ContinualPlugin) and plugin.needs_all_epochs:
                name = type(plugin).__name__
                raise ConfigError(
                    f"EMA: {name} changes weights in the middle of an experience, which an average "
                    f"over its epochs would undo. Drop the plugin 'EMA', or '{name}'."
                )

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Forget the average; the first iteration starts a new one."""
        self._steps, self._average, self._trained = 0, {}, {}

    def before_training_iteration(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Go on with the trained weights where an epoch begins."""
        if self._average:
            return
        own = tensors_of(strategy.model)
        self._average = _copied(own)
        _put(self._trained, own)
        self._trained = {}

    def after_training_iteration(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Average, after all that other plugins do to a step's weights."""
        if strategy.updated:
            self.average(tensors_of(strategy.model))

    def after_training_epoch(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Let the model be the average."""
        own = tensors_of(strategy.model)
        self._trained = _copied(own)
        _put(self._average, own)
        self._average = {}

    def after_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Drop the trained weights: the model stays the average."""
        self._trained = {}

    @torch.no_grad()
    def average(self, weights: Tensors) -> None:
        """Take a step's weights into the average; counters are taken over as they are."""
        warm = (1 + self._steps) / (10 + self._steps) if self.warmup else 1.0
        decay = min(self.decay, warm)
        self._steps += 1
        for name, weight in weights.items():
            if weight.is_floating_point():
                # as a difference: a weight that never moves keeps its very bits
                self._average[name].lerp_(weight.detach(), 1 - decay)
            else:
                self._average[name].copy_(weight)

    def state_dict(self) -> dict[str, Any]:
        """Return the steps so far and, between two epochs, the trained weights."""
        return {"steps": self._steps, "trained": self._trained}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over; the average is the model's own state."""
        self._steps, self._trained = state["steps"], state["trained"]
        self._average = {}


def _copied(tensors: Tensors) -> Tensors:
    """Return copies."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@torch.no_grad()
def _put(values: Tensors, into: Tensors) -> None:
    """Give tensors the values of the same names."""
    for name, value in values.items():
        into[name].copy_(value)
