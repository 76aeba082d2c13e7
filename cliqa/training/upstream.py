"""Avalanche's strategies and plugins, and torch's optimizers and schedulers, by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import avalanche.training.plugins as avalanche_plugins
import avalanche.training.supervised as avalanche_strategies
import torch
from avalanche.core import BaseSGDPlugin
from avalanche.training.templates import SupervisedTemplate
from torch.optim import Optimizer, lr_scheduler

from cliqa.registry import LR_SCHEDULERS, OPTIMIZERS, PLUGINS, STRATEGIES


def _subclass_of(base: type) -> Callable[[str, Any], bool]:
    """Return a test for concrete subclasses of `base`."""

    def keep(_: str, value: Any) -> bool:  # noqa: ANN401
        return (
            inspect.isclass(value)
            and issubclass(value, base)
            and value is not base
            and not inspect.isabstract(value)
        )

    return keep


STRATEGIES.add_upstream(avalanche_strategies, _subclass_of(SupervisedTemplate), "avalanche")
PLUGINS.add_upstream(avalanche_plugins, _subclass_of(BaseSGDPlugin), "avalanche")
OPTIMIZERS.add_upstream(torch.optim, _subclass_of(Optimizer), "torch")
LR_SCHEDULERS.add_upstream(lr_scheduler, _subclass_of(lr_scheduler.LRScheduler), "torch")
