"""Quantization-aware training: training with the rounding of the deployed model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from cliqa.models.arguments import check_integer
from cliqa.models.fake_quantization import add_rounding, observe, rounding_layers
from cliqa.models.freezing import check_patterns
from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.training.views.views import TaskViews
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

HEAD = "head"
"""The part that is not rounded by default: in eight bits it has few distinct scores."""


@PLUGINS.register_module()
class QAT(ContinualPlugin):
    """Round weights and inputs of linear and convolutional layers in every forward pass.

    Weights have a symmetric grid per output channel, inputs one grid per layer over a running
    range, with straight-through gradients (see `cliqa.models.fake_quantization`). Evaluation rounds
    too: it measures the deployed model. Ranges are part of the model's state.

    With methods that evaluate views of earlier experiences (`TaskViews`), ranges are fixed after
    the first experience, so that earlier views keep their outputs.

    Args:
        bits: Bits of weights and inputs, 2..8; deployment uses 8.
        start_experience: The experience in which rounding begins, from 0.
        start_epoch: The epoch of that experience, from 0.
        momentum: Share of a batch's range in the running one, above 0, up to 1.
        exclude: Names of parts that are not rounded; None for the head, if there is one.

    Raises:
        ConfigError: A value is out of range.
    """

    follows_pruning = True  # one range per layer, for any number of channels
    saved = ()  # the ranges are in the model, and the rest follows from the clock

    def __init__(
        self,
        bits: int = 8,
        start_experience: int = 0,
        start_epoch: int = 0,
        momentum: float = 0.1,
        exclude: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        check_integer("QAT", 0, start_experience=start_experience, start_epoch=start_epoch)
        self.bits = bits
        self.start = (start_experience, start_epoch)
        self.momentum = momentum
        self.exclude = None if exclude is None else tuple(exclude)
        self._first_only = False
        self._active = False

    def prepare(self, model: nn.Module) -> None:
        """Add rounding to the model's layers; it is inactive until a range is known.

        Raises:
            ConfigError: `bits` or `momentum` is out of range.
            ModelError: `exclude` matches nothing in this model, or leaves no layer to round.
        """
        if self.exclude is None:
            exclude: Sequence[str] = (HEAD,) if hasattr(model, HEAD) else ()
        else:
            exclude = self.exclude
            check_patterns(model, exclude, "QAT: exclude")
        add_rounding(model, self.bits, self.momentum, exclude)

    def is_prepared(self, model: nn.Module) -> bool:
        """Return whether the model has rounding."""
        return bool(rounding_layers(model))

    def check(self, plugins: Sequence[object]) -> None:
        """Check for methods with views of earlier experiences.

        Raises:
            ConfigError: There is one, and rounding would begin after the first experience.
        """
        views = [
            plugin
            for plugin in plugins
            if isinstance(plugin, TaskViews)
            and (plugin.needs_all_epochs or plugin.inference != "last")
        ]
        self._first_only = bool(views)
        if views and self.start[0]:
            raise ConfigError(
                f"QAT: start_experience={self.start[0]} would change the outputs "
                f"that {type(views[0]).__name__} keeps for earlier experiences. Set "
                "start_experience=0."
            )

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse a start that is never reached.

        Raises:
            ConfigError: The experience has no such epoch.
        """
        experience, epoch = self.start
        if strategy.clock.train_exp_counter == experience and epoch >= strategy.train_epochs:
            raise ConfigError(
                f"QAT: start_epoch={epoch} is never reached: an experience has train_epochs="
                f"{strategy.train_epochs}, counted from 0. Set a smaller start_epoch."
            )

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Activate rounding from the configured epoch on."""
        experience = strategy.clock.train_exp_counter
        begun = (experience, strategy.epochs_done) >= self.start
        if (experience, strategy.epochs_done) == self.start:
            logger.info("QAT: training rounds to %d bits from now on", self.bits)
        self._active = begun and not (self._first_only and experience)

    def before_forward(self, strategy: Strategy, **_: object) -> None:
        """Update the ranges with this batch."""
        observe(strategy.model, self._active)

    def after_forward(self, strategy: Strategy, **_: object) -> None:
        """Do not update the ranges in other forward passes."""
        observe(strategy.model, False)
