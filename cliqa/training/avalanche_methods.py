"""Avalanche's strategies and plugins, and torch's optimizers and schedulers, by their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import avalanche.training.plugins as avalanche_plugins
import avalanche.training.supervised as avalanche_strategies
import torch
from avalanche.core import BaseSGDPlugin
from avalanche.models import MultiTaskModule
from avalanche.models.base_model import BaseModel
from avalanche.training.plugins import RWalkPlugin, SynapticIntelligencePlugin
from avalanche.training.templates import SupervisedMetaLearningTemplate, SupervisedTemplate
from torch import nn
from torch.optim import Optimizer, lr_scheduler
from torchvision.models.feature_extraction import get_graph_node_names

from cliqa.registry import (
    LR_SCHEDULERS,
    OPTIMIZERS,
    PLUGINS,
    STRATEGIES,
    Component,
    ComponentRegistry,
)
from cliqa.training.avalanche_advice import advice
from cliqa.utils.errors import ConfigError, ModelError

LEARN_SCORES = {
    STRATEGIES: ("AGEM", "Cumulative", "EWC", "FromScratchTraining", "GEM", "Naive", "Replay")
    + ("SynapticIntelligence",),
    PLUGINS: ("AGEMPlugin", "EWCPlugin", "FromScratchTrainingPlugin", "GEMPlugin", "RWalkPlugin")
    + ("ReplayPlugin", "SynapticIntelligencePlugin"),
}
"""Avalanche's methods that train on scores; `avalanche_advice` has the others."""

LEARN_CLASSES = {
    STRATEGIES: ("AGEM", "CWRStar", "Cumulative", "DER", "ER_ACE", "EWC", "FromScratchTraining")
    + ("GDumb", "GEM", "GenerativeReplay", "LFL", "LwF", "MAS", "MER", "MIR", "Naive", "Replay")
    + ("SynapticIntelligence",),
    PLUGINS: ("AGEMPlugin", "EWCPlugin", "FromScratchTrainingPlugin", "GDumbPlugin", "GEMPlugin")
    + ("LFLPlugin", "LwFPlugin", "MASPlugin", "MIRPlugin", "RARPlugin", "RWalkPlugin")
    + ("ReplayPlugin", "SynapticIntelligencePlugin"),
}
"""Avalanche's methods that train on classes; `check_model` says which need a certain model."""

LEARN = {"scores": LEARN_SCORES, "classes": LEARN_CLASSES}
"""The same by the kind of a stream's labels."""


def _subclass_of(*bases: type) -> Callable[[str, Any], bool]:
    """Return a test for concrete subclasses of one of `bases`."""

    def keep(_: str, value: object) -> bool:
        return (
            inspect.isclass(value)
            and issubclass(value, bases)
            and value not in bases
            and not inspect.isabstract(value)
        )

    return keep


def _learns(registry: ComponentRegistry, component: Component) -> bool:
    """Return whether one of Avalanche's strategies or plugins works for any kind of label."""
    return any(component.__name__ in learn[registry] for learn in LEARN.values())


STRATEGIES.add_upstream(
    avalanche_strategies,
    _subclass_of(SupervisedTemplate, SupervisedMetaLearningTemplate),
    "avalanche",
)
PLUGINS.add_upstream(avalanche_plugins, _subclass_of(BaseSGDPlugin), "avalanche")
OPTIMIZERS.add_upstream(torch.optim, _subclass_of(Optimizer), "torch")
LR_SCHEDULERS.add_upstream(lr_scheduler, _subclass_of(lr_scheduler.LRScheduler), "torch")
STRATEGIES.for_files = lambda component: _learns(STRATEGIES, component)
PLUGINS.for_files = lambda component: _learns(PLUGINS, component)
OPTIMIZERS.for_files = LR_SCHEDULERS.for_files = lambda _: True  # they compute, and nothing else


def cannot_learn(registry: ComponentRegistry, component: Component, kind: str) -> str:
    """Return why one of Avalanche's cannot train on such labels, and what to use; empty if it can.

    Args:
        registry: `STRATEGIES` or `PLUGINS`.
        component: What a config names, by a name or a dotted path.
        kind: ``"scores"`` or ``"classes"``.
    """
    name = component.__name__
    if not component.__module__.startswith("avalanche.") or name in LEARN[kind][registry]:
        return ""
    return advice(name, kind)


def check_model(parts: Iterable[object], model: nn.Module) -> None:
    """Refuse a model that one of Avalanche's methods cannot use, or that no checkpoint can hold.

    Args:
        parts: The strategy's class, and the plugins.
        model: The model.

    Raises:
        ConfigError: With what to use.
        ModelError: It grows a head for each task.
    """
    if isinstance(model, MultiTaskModule):
        raise ModelError(
            f"model: a {type(model).__name__} of Avalanche's grows a head for each task, which no "
            "checkpoint would fit. Use a model with a single head, and cl_strategy=dict(type="
            "'TaskSpecificParts', parts=['head'], inference='oracle', ...): its heads are kept."
        )
    names = {getattr(part, "__name__", type(part).__name__) for part in parts if _is_upstream(part)}
    if names & {"LFL", "LFLPlugin"} and not isinstance(model, BaseModel):
        raise ConfigError(
            "cl_strategy 'LFL': Avalanche's needs a model with get_features, such as "
            "dict(type='avalanche.models.SimpleMLP', ...), and this is a "
            f"{type(model).__name__}. Use this package's 'LwF'."
        )
    if "RARPlugin" in names:
        try:
            get_graph_node_names(model)
        except Exception as error:
            raise ConfigError(
                "cl_strategy.plugins 'RARPlugin': Avalanche's needs a model that torch.fx can "
                f"trace, and this {type(model).__name__} is none. Use this package's 'MIR'."
            ) from error


def _is_upstream(part: object) -> bool:
    """Return whether a class, or an object's class, is Avalanche's."""
    owner = part if inspect.isclass(part) else type(part)
    return owner.__module__.startswith("avalanche.")


def check_iterations(plugins: Iterable[object], iterations: int) -> None:
    """Refuse a random walk that has no score when the first experience ends.

    Avalanche divides the scores by the largest one. Where no ``delta_t`` iterations have passed by
    then, all are 0, and the loss of the second experience is not a number.

    Args:
        plugins: The strategy's plugins.
        iterations: Training batches of the first experience, over all epochs.

    Raises:
        ConfigError: ``delta_t`` is larger.
    """
    for plugin in plugins:
        if isinstance(plugin, RWalkPlugin) and plugin.delta_t > iterations:
            raise ConfigError(
                f"cl_strategy.plugins 'RWalkPlugin': delta_t={plugin.delta_t}, and the first "
                f"experience has {iterations} iterations: the loss of the second one would be NaN. "
                f"Set delta_t to {iterations} or less."
            )


@torch.no_grad()
def _copy_weights(model: nn.Module, target: dict[str, Any], excluded: set[str]) -> None:
    """Copy a model's weights into `target`, by name.

    Avalanche 0.6 keeps views of them: on a CPU they change with the weights, every trajectory is
    zero, and synaptic intelligence silently becomes plain fine-tuning.
    """
    for name, weight in SynapticIntelligencePlugin.allowed_parameters(model, excluded):
        target[name].data = weight.detach().flatten().to("cpu", copy=True)


SynapticIntelligencePlugin.extract_weights = staticmethod(_copy_weights)
