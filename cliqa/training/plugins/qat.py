"""Quantization-aware training: the model learns with the rounding that it will be deployed with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from cliqa.models.fake_quantization import add_rounding, observe
from cliqa.models.freezing import check_patterns
from cliqa.registry import PLUGINS
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.views.views import TaskViews
from cliqa.utils.errors import ConfigError

HEAD = "head"
"""The part that does not round unless told otherwise: in eight bits it gives few scores."""


@PLUGINS.register_module()
class QAT(ContinualPlugin):
    """Round weights and inputs of linear and convolutional layers in every forward pass.

    Weights have a symmetric grid for each output channel, inputs one grid a layer over a running
    range; gradients go straight through (see `cliqa.models.fake_quantization`). Evaluation rounds
    too: what is measured is what will be deployed. Ranges are part of the model's state.

    With methods that have a view of the model for each experience (`TaskViews`), other than that of
    the newest one, ranges are learnt in the first experience and stay: earlier views keep their
    outputs.

    Args:
        bits: Of weights and inputs; deployment has 8, less is for research; 2..8.
        start_experience: The experience in which rounding begins, from 0.
        start_epoch: The epoch of it, from 0.
        momentum: Share of a batch's range in the running one, above 0, up to 1.
        exclude: Names of parts that do not round; None for the head, where a part is called so.

    Raises:
        ConfigError: A value is out of range.
    """

    follows_pruning = True  # one range a layer, whatever its channels

    def __init__(
        self,
        bits: int = 8,
        start_experience: int = 0,
        start_epoch: int = 0,
        momentum: float = 0.1,
        exclude: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("start_experience", start_experience), ("start_epoch", start_epoch)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ConfigError(f"QAT: {name} must be an integer >= 0, got {value!r}.")
        self.bits = bits
        self.start = (start_experience, start_epoch)
        self.momentum = momentum
        self.exclude = None if exclude is None else tuple(exclude)
        self._first_only = False
        self._active = False

    def prepare(self, model: nn.Module) -> None:
        """Let the model's layers round, once rounding begins.

        Raises:
            ConfigError: `bits` or `momentum` cannot be.
            ModelError: `exclude` names nothing in this model, or leaves nothing to round.
        """
        if self.exclude is None:
            exclude: Sequence[str] = (HEAD,) if hasattr(model, HEAD) else ()
        else:
            exclude = self.exclude
            check_patterns(model, exclude, "QAT: exclude")
        add_rounding(model, self.bits, self.momentum, exclude)

    def check(self, plugins: Sequence[Any]) -> None:
        """Look for methods with views of earlier experiences.

        Raises:
            ConfigError: There is one, and rounding is to begin after the first experience.
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
                f"QAT: start_experience={self.start[0]} would change what "
                f"{type(views[0]).__name__} keeps of earlier experiences. Set start_experience=0."
            )

    def before_training_exp(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Refuse a beginning that never comes.

        Raises:
            ConfigError: The experience has no such epoch.
        """
        experience, epoch = self.start
        if self._experience(strategy) == experience and epoch >= strategy.train_epochs:
            raise ConfigError(
                f"QAT: start_epoch={epoch} never comes: an experience has train_epochs="
                f"{strategy.train_epochs}, counted from 0. Set a smaller start_epoch."
            )

    def before_training_epoch(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Begin where it is time."""
        experience = self._experience(strategy)
        begun = (experience, strategy.epochs_done) >= self.start
        self._active = begun and not (self._first_only and experience)

    def before_forward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Let the batch move the ranges."""
        observe(strategy.model, self._active)

    def after_forward(self, strategy: Any, **_: Any) -> None:  # noqa: ANN401
        """Let other methods' passes leave them alone."""
        observe(strategy.model, False)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the ranges are the model's, and the rest follows from the clock."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take nothing over."""

    def _experience(self, strategy: Any) -> int:  # noqa: ANN401
        """Return how many experiences have been learnt."""
        return int(strategy.clock.train_exp_counter)
