"""The plugins of a config, and the changes that they make to its model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from cliqa.engine.sections import split_strategy, strategy_component
from cliqa.registry import PLUGINS, build_component
from cliqa.training.plugins.base import ContinualPlugin


def build_plugins(section: Mapping[str, Any]) -> list[Any]:
    """Build the plugins of a ``cl_strategy``; a plugin used as its type comes first."""
    plugins = [
        build_component(PLUGINS, plugin, f"cl_strategy.plugins[{index}]")
        for index, plugin in enumerate(section.get("plugins") or [])
    ]
    registry, _ = strategy_component(section)
    if registry is PLUGINS:
        own, _ = split_strategy(section)
        plugins.insert(0, build_component(PLUGINS, own, "cl_strategy"))
    return plugins


def prepare_model(model: nn.Module, plugins: Sequence[Any]) -> nn.Module:
    """Let plugins change a new model: they may add adapters, for example."""
    for plugin in plugins:
        if isinstance(plugin, ContinualPlugin):
            plugin.prepare(model)
    return model


def check_room(strategy: Any, to_come: int) -> None:  # noqa: ANN401  Avalanche's or ours
    """Refuse a stream that a method cannot learn to its end, before anything is trained.

    Args:
        strategy: With its state, where a run continues.
        to_come: Steps of the stream that are still to be trained.

    Raises:
        CliqaError: From a plugin.
    """
    for plugin in strategy.plugins:
        if isinstance(plugin, ContinualPlugin) and to_come:
            plugin.check_room(to_come)
