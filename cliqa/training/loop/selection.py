"""Selection of an experience's best epoch, and early stopping, by its validation data alone."""

from __future__ import annotations

from typing import Any

from avalanche.training.plugins.clock import Clock

from cliqa.training.plugins.base import ContinualPlugin, SavedState
from cliqa.training.state import capture_plugins, copied_to, plugin_keys, restore_plugins
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)


class BestEpoch(SavedState):
    """The best epoch of an experience so far, and the validations since the last improvement.

    With `keep`, the model and the plugins are restored to the best epoch when the experience ends,
    as if training had stopped there; methods then measure these weights. If that is not the last
    epoch, the optimizer's statistics, which belong to other weights, are dropped. Of equally good
    epochs the first one is kept.

    Args:
        keep: Restore the best epoch at the end.
        patience: Validations without an improvement after which an experience ends; None: never
            end early.
        min_delta: Minimum increase over the last improvement that counts as one.

    Attributes:
        value: The measure of the best epoch; None before there is one.
        epoch: The best epoch, from 1; 0 before there is one.
        stopped: The experience ends now.
    """

    saved = ("value", "epoch", "stopped", "_mark", "_waited", "_kept")

    def __init__(
        self, keep: bool = False, patience: int | None = None, min_delta: float = 0.0
    ) -> None:
        self.keep = keep
        self.patience = patience
        self.min_delta = min_delta
        self.start()

    @property
    def active(self) -> bool:
        """Whether training depends on the validation."""
        return self.keep or self.patience is not None

    def start(self) -> None:
        """Begin an experience."""
        self.value: float | None = None
        self.epoch = 0
        self.stopped = False
        self._mark: float | None = None  # the last improvement's measure
        self._waited = 0
        self._kept: dict[str, Any] = {}

    def check(self, strategy: Strategy) -> None:
        """Refuse methods that need all epochs of an experience."""
        option = "keep_best" if self.keep else "patience"
        for plugin in strategy.plugins if self.active else ():
            if isinstance(plugin, ContinualPlugin) and plugin.needs_all_epochs:
                name = type(plugin).__name__
                raise ConfigError(
                    f"cl_strategy.{option}: {name} changes the weights on a schedule over an "
                    f"experience's epochs, so no single epoch can be selected. Drop {option}, or "
                    f"'{name}'."
                )

    def look(self, strategy: Strategy, value: float | None) -> None:
        """Record an epoch's measure, and the weights if it is the best.

        Args:
            strategy: The strategy, between two epochs.
            value: Higher is better; None where it is undefined, which counts as no improvement.
        """
        if value is not None and (self.value is None or value > self.value):
            self.value, self.epoch = value, strategy.epochs_done
            if self.keep:
                self._kept = _snapshot(strategy)
        if self.patience is None:
            return
        if value is not None and (self._mark is None or value > self._mark + self.min_delta):
            self._mark, self._waited = value, 0
        else:
            self._waited += 1
        self.stopped = self._waited >= self.patience

    def finish(self, strategy: Strategy) -> None:
        """Restore the best epoch if `keep` is set."""
        if not self.keep or not strategy.epochs_done:
            return
        if not self.epoch:
            logger.warning("no epoch has a validation measure: the last epoch's weights are kept")
        elif self.epoch < strategy.epochs_done:
            strategy.model.load_state_dict(self._kept["model"])
            restore_plugins(strategy, self._kept["plugins"])
            strategy.optimizer.state.clear()
        if self.epoch:
            logger.info("the weights of epoch %d are kept (%.4f)", self.epoch, self.value)
        self._kept = {}


def _snapshot(strategy: Strategy) -> dict[str, Any]:
    """Return copies of the states of the model and the plugins, without clocks."""
    clocks = [key for key, plugin in plugin_keys(strategy) if isinstance(plugin, Clock)]
    plugins = {k: state for k, state in capture_plugins(strategy).items() if k not in clocks}
    whole = {"model": dict(strategy.model.state_dict()), "plugins": plugins}
    found: dict[str, Any] = copied_to(whole, strategy.device)
    return found
