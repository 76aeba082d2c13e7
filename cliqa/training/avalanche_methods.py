"""Avalanche's strategies and plugins, and torch's optimizers and schedulers, by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import avalanche.training.plugins as avalanche_plugins
import avalanche.training.supervised as avalanche_strategies
import torch
from avalanche.core import BaseSGDPlugin
from avalanche.training.plugins import SynapticIntelligencePlugin
from avalanche.training.templates import SupervisedTemplate
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from cliqa.registry import (
    LR_SCHEDULERS,
    OPTIMIZERS,
    PLUGINS,
    STRATEGIES,
    Component,
    ComponentRegistry,
)

LEARN_SCORES = {
    STRATEGIES: ("AGEM", "Cumulative", "EWC", "FromScratchTraining", "GEM", "Naive", "Replay")
    + ("SynapticIntelligence",),
    PLUGINS: ("AGEMPlugin", "EWCPlugin", "EarlyStoppingPlugin", "FromScratchTrainingPlugin")
    + ("GEMPlugin", "LRSchedulerPlugin", "RWalkPlugin", "ReplayPlugin")
    + ("SynapticIntelligencePlugin",),
}
"""Avalanche's methods that train on scores; the others need class or task labels and crash."""

LEARN_CLASSES = {
    STRATEGIES: ("AGEM", "CWRStar", "Cumulative", "DER", "ER_ACE", "EWC", "FromScratchTraining")
    + ("GDumb", "GEM", "GenerativeReplay", "LwF", "MAS", "MIR", "Naive", "Replay")
    + ("SynapticIntelligence",),
    PLUGINS: ("AGEMPlugin", "EWCPlugin", "EarlyStoppingPlugin", "FromScratchTrainingPlugin")
    + ("GDumbPlugin", "GEMPlugin", "LRSchedulerPlugin", "LwFPlugin")
    + ("MASPlugin", "MIRPlugin", "RWalkPlugin", "ReplayPlugin", "SynapticIntelligencePlugin"),
}
"""Avalanche's methods that train on classes with any model; the others need a special model or
objects that a config cannot give, or crash (BiC, CoPE, GSS, RAR on 0.6.0)."""

LEARN = {"scores": LEARN_SCORES, "classes": LEARN_CLASSES}
"""The same by the kind of a stream's labels."""


def _subclass_of(base: type) -> Callable[[str, Any], bool]:
    """Return a test for concrete subclasses of `base`."""

    def keep(_: str, value: object) -> bool:
        return (
            inspect.isclass(value)
            and issubclass(value, base)
            and value is not base
            and not inspect.isabstract(value)
        )

    return keep


def _learns(registry: ComponentRegistry, component: Component) -> bool:
    """Return whether one of Avalanche's strategies or plugins works for any kind of label."""
    return any(component.__name__ in learn[registry] for learn in LEARN.values())


STRATEGIES.add_upstream(avalanche_strategies, _subclass_of(SupervisedTemplate), "avalanche")
PLUGINS.add_upstream(avalanche_plugins, _subclass_of(BaseSGDPlugin), "avalanche")
OPTIMIZERS.add_upstream(torch.optim, _subclass_of(Optimizer), "torch")
LR_SCHEDULERS.add_upstream(lr_scheduler, _subclass_of(lr_scheduler.LRScheduler), "torch")
STRATEGIES.for_files = lambda component: _learns(STRATEGIES, component)
PLUGINS.for_files = lambda component: _learns(PLUGINS, component)
OPTIMIZERS.for_files = LR_SCHEDULERS.for_files = lambda _: True  # they compute, and nothing else


def cannot_learn(registry: ComponentRegistry, component: Component, kind: str) -> bool:
    """Return whether one of Avalanche's strategies or plugins cannot train on such labels.

    Args:
        registry: `STRATEGIES` or `PLUGINS`.
        component: What is registered there.
        kind: ``"scores"`` or ``"classes"``.
    """
    upstream = registry.upstream.get(f"avalanche.{component.__name__}") is component
    return upstream and component.__name__ not in LEARN[kind][registry]


@torch.no_grad()
def _copy_weights(model: nn.Module, target: dict[str, Any], excluded: set[str]) -> None:
    """Copy a model's weights into `target`, by name.

    Avalanche 0.6 keeps views of them: on a CPU they change with the weights, every trajectory is
    zero, and synaptic intelligence silently becomes plain fine-tuning.
    """
    for name, weight in SynapticIntelligencePlugin.allowed_parameters(model, excluded):
        target[name].data = weight.detach().flatten().to("cpu", copy=True)


SynapticIntelligencePlugin.extract_weights = staticmethod(_copy_weights)
