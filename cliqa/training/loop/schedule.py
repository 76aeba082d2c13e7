"""Learning-rate schedules that restart with every experience."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from cliqa.registry import LR_SCHEDULERS, build_component, check_component, find, parameters_of
from cliqa.utils.errors import ConfigError


class Schedule:
    """Builds one scheduler per experience from a config, starting at the optimizer's first rates.

    Args:
        config: ``dict(type='CosineAnnealingLR', eta_min=1e-6, by='epoch')``: a class of
            `torch.optim.lr_scheduler`, its arguments, and ``by``: whether it steps after every
            epoch (default) or iteration, which is a step of the optimizer. Lengths (`T_max`,
            `total_steps`) that are left out are filled in with the length of the experience. None
            keeps the rates constant.
        where: The section's key path, for error messages.

    Raises:
        ConfigError: The config is not a dict, or `by` is neither "epoch" nor "iteration".
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

    @property
    def spans_experience(self) -> bool:
        """Whether the rates depend on how many epochs an experience has."""
        return bool({"T_max", "total_steps"} & self._lengths(1, 1).keys())

    def check(self, epochs: int = 1) -> None:
        """Check the config's names, and its values with a temporary optimizer.

        Args:
            epochs: Epochs of an experience.

        Raises:
            ConfigError: The scheduler or one of its arguments is unknown, one is missing, or the
                scheduler rejects a value.
        """
        if self.config is None:
            return
        lengths = self._lengths(epochs, iterations=1000)
        check_component(LR_SCHEDULERS, self.config, self.where, ["optimizer", *lengths])
        trial = SGD([nn.Parameter(torch.zeros(()))], lr=1.0)
        build_component(LR_SCHEDULERS, self.config, self.where, optimizer=trial, **lengths)

    def check_rates(self, rates: Mapping[str, float]) -> None:
        """Refuse a schedule whose final rate is above a group's initial rate.

        Args:
            rates: The first rate of each parameter group, by the group's name.

        Raises:
            ConfigError: `eta_min` lies above a group's rate.
        """
        config = self.config or {}
        end = config.get("eta_min")
        if not isinstance(end, (int, float)):
            return
        for name, rate in rates.items():
            if end > rate:
                raise ConfigError(
                    f"{self.where} '{config['type']}': eta_min={end:g} is above "
                    f"the learning rate {rate:g} of the parameter group '{name}', whose rate would "
                    "rise. Use dict(type='CosineLR', end_ratio=0.01), which ends at a share of "
                    "each group's own rate, or a smaller eta_min."
                )

    def start(self, optimizer: Optimizer, epochs: int, iterations: int) -> None:
        """Reset the rates to the optimizer's first ones and start a new scheduler.

        Args:
            optimizer: The optimizer whose rates are scheduled.
            epochs: Epochs of the experience.
            iterations: Optimizer steps of one epoch.

        Raises:
            ConfigError: The scheduler rejects its arguments, or would raise a group's rate.
        """
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("first_lr", group["lr"])
            group.pop("initial_lr", None)
        groups = enumerate(optimizer.param_groups)
        self.check_rates({str(g.get("name", k)): float(g["lr"]) for k, g in groups})
        if self.config is None:
            return
        lengths = self._lengths(epochs, iterations)
        self._scheduler = build_component(
            LR_SCHEDULERS, self.config, self.where, optimizer=optimizer, **lengths
        )

    def after_iteration(self) -> None:
        """Step a scheduler that counts iterations; called after every step of the optimizer."""
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
        """Load a state; the optimizer's rates are in its own state."""
        if self._scheduler is not None and state:
            self._scheduler.load_state_dict(state)

    def _lengths(self, epochs: int, iterations: int) -> dict[str, int]:
        """Return the lengths that the scheduler takes and the config leaves out."""
        if self.config is None:
            return {}
        parameters, _ = parameters_of(find(LR_SCHEDULERS, self.config, self.where))
        steps = epochs if self.by == "epoch" else epochs * iterations
        epoch = 1 if self.by == "epoch" else iterations
        names = {"T_max": steps, "total_steps": steps, "epoch_steps": epoch}
        return {k: v for k, v in names.items() if k in parameters and k not in self.config}


@LR_SCHEDULERS.register_module()
class CosineLR(LRScheduler):
    """Lower every group's rate along half a cosine to a fraction of it, after a linear warm-up.

    In step t of T with w steps of warm-up the rate is the first one times ``(t + 1) / (w + 1)``,
    then times ``end + (1 - end) (1 + cos(pi (t - w) / (T - w))) / 2`` (Loshchilov & Hutter, "SGDR",
    ICLR 2017, eq. 5), and stays at `end_ratio` from step T on.

    ``CosineAnnealingLR`` ends at the same rate for all groups; a group with a smaller initial rate
    would rise to it.

    Args:
        optimizer: Its groups' current rates are the first ones.
        T_max: Steps to the end; left out in a config, it is the experience's length.
        epoch_steps: Steps of an epoch, filled in by the strategy: 1, or its optimizer steps.
        end_ratio: The final rate as a fraction of the first one, 0..1.
        warmup_epochs: Epochs, >= 0 and shorter than the whole, in which the rate grows linearly.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803  as torch's CosineAnnealingLR calls it
        epoch_steps: int = 1,
        end_ratio: float = 0.01,
        warmup_epochs: float = 0,
    ) -> None:
        if not 0 <= end_ratio <= 1:
            raise ValueError(f"end_ratio must lie in 0..1, got {end_ratio!r}")
        if not warmup_epochs >= 0:
            raise ValueError(f"warmup_epochs must be >= 0, got {warmup_epochs!r}")
        self.T_max = T_max
        self.end_ratio = end_ratio
        self.warmup_steps = round(warmup_epochs * epoch_steps)
        if self.warmup_steps >= max(1, T_max):
            raise ValueError(
                f"warmup_epochs={warmup_epochs} takes {self.warmup_steps} of {T_max} steps and "
                "leaves none after the warm-up. Shorten it, or set more train_epochs"
            )
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        """Return the groups' rates of this step."""
        step, warmup, end = self.last_epoch, self.warmup_steps, self.end_ratio
        if step < warmup:
            factor = (step + 1) / (warmup + 1)
        else:
            done = min(1.0, (step - warmup) / max(1, self.T_max - warmup))
            factor = end + (1 - end) * (1 + math.cos(math.pi * done)) / 2
        return [rate * factor for rate in self.base_lrs]
