"""The progress of every epoch and evaluation."""

from __future__ import annotations

import time
from typing import Any

from avalanche.logging import BaseLogger
from avalanche.training.templates import SupervisedTemplate

from cliqa.registry import LOGGERS
from cliqa.utils.progress import Phase

REFRESH = 0.25
"""Seconds between two readings of the loss: each one makes the CPU wait for the GPU."""


@LOGGERS.register_module()
class ProgressBar(BaseLogger):
    """A bar with the loss on a terminal; lines in pipes and in ``train.log``.

    A config's ``progress_seconds`` says how often there is a line. Runs whose ``loggers`` do not
    list it have the lines all the same, and no bars.

    Args:
        bars: Show bars on a terminal.
    """

    def __init__(self, bars: bool = True) -> None:
        super().__init__()
        self._bars = bars
        self._phase: Phase | None = None
        self._read = 0.0

    def before_training_epoch(self, strategy: SupervisedTemplate, _: object) -> None:
        """Begin an epoch."""
        epoch = strategy.clock.train_exp_epochs + 1
        self._open(strategy, f"train {_name(strategy)} epoch {epoch}/{strategy.train_epochs}")

    def after_training_iteration(self, strategy: SupervisedTemplate, _: object) -> None:
        """Count a batch, and read the loss now and then."""
        if self._phase is None:
            return
        now = time.monotonic()
        if now - self._read > REFRESH:
            self._read = now
            self._phase.note = f"loss {float(strategy.loss.detach()):.4f}"
        self._phase.update()

    def after_training_epoch(self, strategy: SupervisedTemplate, _: object) -> None:
        """End the epoch."""
        self.close()

    def before_eval_exp(self, strategy: SupervisedTemplate, _: object) -> None:
        """Begin a data set."""
        self._open(strategy, f"evaluate {_name(strategy)}")

    def after_eval_iteration(self, strategy: SupervisedTemplate, _: object) -> None:
        """Count a batch."""
        if self._phase is not None:
            self._phase.update()

    def after_eval_exp(self, strategy: SupervisedTemplate, _: object) -> None:
        """End the data set."""
        self.close()

    def close(self) -> None:
        """End what is open."""
        if self._phase is not None:
            self._phase.close()
            self._phase = None

    def _open(self, strategy: SupervisedTemplate, title: str) -> None:
        self.close()
        self._phase = Phase(title, len(strategy.dataloader), bar=self._bars).begin()


def with_progress(loggers: list[Any]) -> list[Any]:
    """Return loggers among which one counts the progress: one without bars, if none does."""
    counted = any(isinstance(one, ProgressBar) for one in loggers)
    return loggers if counted else [*loggers, ProgressBar(bars=False)]


def _name(strategy: SupervisedTemplate) -> str:
    """Return the current data set's name; of several that are learnt at once, the first one's."""
    experience = strategy.experience
    return str(getattr(experience, "name", experience.current_experience))
