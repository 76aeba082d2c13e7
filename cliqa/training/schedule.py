"""Learning-rate schedules that start anew with every experience."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from cliqa.registry import LR_SCHEDULERS, build_component, check_component, find, parameters_of
from cliqa.utils.errors import ConfigError


class Schedule:
    """Builds one scheduler an experience from a description, over the optimizer's first rates.

    Args:
        config: ``dict(type='CosineAnnealingLR', eta_min=1e-6, by='epoch')``: a class of
            `torch.optim.lr_scheduler`, its arguments, and ``by``: whether it steps after every
            epoch (default) or iteration. Lengths (`T_max`, `total_steps`) that are left out are
            filled in with the length of the experience. None keeps the rates constant.
        where: The section's key path, for error messages.

    Raises:
        ConfigError: The description is no dict, or `by` is neither "epoch" nor "iteration".
    """

    def __init__(self, config: Mapping[str, Any] | None, where: str = "scheduler") -> None:
        if config is not None and not isinstance(config, Mapping):
            raise ConfigError(
                f"{where}: expected dict(type=...) for a scheduler, or None, got {config!r}."
            )
        self.config = None if config is None else {k: v for k, v in config.items() if k != "by"}
        self.where = where
        self.by = "epoch" if config is None else config.get("by", "epoch")
        if self.by not in ("epoch", "iteration"):
            raise ConfigError(f"{where}.by: expected 'epoch' or 'iteration', got {self.by!r}.")
        self._scheduler: LRScheduler | None = None

    def check(self) -> None:
        """Check the description's names without building anything.

        Raises:
            ConfigError: The scheduler or one of its arguments is unknown, or one is missing.
        """
        if self.config is not None:
            lengths = self._lengths(1, 1)
            check_component(LR_SCHEDULERS, self.config, self.where, ["optimizer", *lengths])

    def start(self, optimizer: Optimizer, epochs: int, iterations: int) -> None:
        """Set the rates back to the optimizer's first ones and start a fresh scheduler.

        Args:
            optimizer: The optimizer whose rates are scheduled.
            epochs: Epochs of the experience.
            iterations: Iterations of one epoch.
        """
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("first_lr", group["lr"])
            group.pop("initial_lr", None)
        if self.config is None:
            return
        lengths = self._lengths(epochs, iterations)
        self._scheduler = build_component(
            LR_SCHEDULERS, self.config, self.where, optimizer=optimizer, **lengths
        )

    def after_iteration(self) -> None:
        """Step a scheduler that counts iterations."""
        if self._scheduler is not None and self.by == "iteration":
            self._scheduler.step()

    def after_epoch(self, loss: float) -> None:
        """Step a scheduler that counts epochs; a plateau scheduler watches the training loss."""
        if self._scheduler is None or self.by != "epoch":
            return
        if isinstance(self._scheduler, ReduceLROnPlateau):
            self._scheduler.step(loss)
        else:
            self._scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the scheduler's plain values."""
        if self._scheduler is None:
            return {}
        plain = (bool, int, float, str, list, dict, type(None))
        state = self._scheduler.state_dict()
        return {key: value for key, value in state.items() if isinstance(value, plain)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state over; the optimizer's rates come from its own state."""
        if self._scheduler is not None and state:
            self._scheduler.load_state_dict(state)

    def _lengths(self, epochs: int, iterations: int) -> dict[str, int]:
        """Return the lengths that the scheduler takes and the description leaves out."""
        if self.config is None:
            return {}
        parameters, _ = parameters_of(find(LR_SCHEDULERS, self.config, self.where))
        steps = epochs if self.by == "epoch" else epochs * iterations
        names = {"T_max": steps, "total_steps": steps}
        return {k: v for k, v in names.items() if k in parameters and k not in self.config}
