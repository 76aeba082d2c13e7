"""A progress bar for every epoch and evaluation."""

from __future__ import annotations

import sys
import time
from typing import Any

from avalanche.logging import BaseLogger
from avalanche.training.templates import SupervisedTemplate
from tqdm import tqdm

from cliqa.registry import LOGGERS

REFRESH = 0.25
"""Seconds between two readings of the loss: each one makes the CPU wait for the GPU."""


@LOGGERS.register_module()
class ProgressBar(BaseLogger):
    """A bar with the loss, on a terminal only; a log file gets one line an epoch instead."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[Any] | None = None
        self._read = 0.0

    def before_training_epoch(self, strategy: SupervisedTemplate, _: object) -> None:
        """Open the epoch's bar."""
        epoch = strategy.clock.train_exp_epochs + 1
        self._open(strategy, f"train {_name(strategy)} epoch {epoch}/{strategy.train_epochs}")

    def after_training_iteration(self, strategy: SupervisedTemplate, _: object) -> None:
        """Advance the bar, and update the loss now and then."""
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._read > REFRESH and not self._bar.disable:
            self._read = now
            self._bar.set_postfix(loss=f"{float(strategy.loss.detach()):.4f}", refresh=False)
        self._bar.update()

    def after_training_epoch(self, strategy: SupervisedTemplate, _: object) -> None:
        """Close the epoch's bar."""
        self.close()

    def before_eval_exp(self, strategy: SupervisedTemplate, _: object) -> None:
        """Open the data set's bar."""
        self._open(strategy, f"evaluate {_name(strategy)}")

    def after_eval_iteration(self, strategy: SupervisedTemplate, _: object) -> None:
        """Advance the bar."""
        if self._bar is not None:
            self._bar.update()

    def after_eval_exp(self, strategy: SupervisedTemplate, _: object) -> None:
        """Close the data set's bar."""
        self.close()

    def close(self) -> None:
        """Remove an open bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, strategy: SupervisedTemplate, label: str) -> None:
        self.close()
        # disable=None: no bar where the output is no terminal
        self._bar = tqdm(
            total=len(strategy.dataloader), desc=label, leave=False, file=sys.stderr, disable=None
        )


def _name(strategy: SupervisedTemplate) -> str:
    """Return the current data set's name."""
    experience = strategy.experience
    return str(getattr(experience, "name", experience.current_experience))
