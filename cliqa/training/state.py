"""The state of a strategy's plugins, as tensors and plain types."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.plugins.clock import Clock
from avalanche.training.templates.base_sgd import PeriodicEval

STATELESS = (EvaluationPlugin, PeriodicEval)
"""Plugins of every strategy without a state that training depends on."""


def plugin_keys(strategy: Any) -> list[tuple[str, Any]]:  # noqa: ANN401
    """Return the strategy's plugins with a key each that is stable from run to run."""
    return [
        (f"{index}.{type(plugin).__name__}", plugin)
        for index, plugin in enumerate(strategy.plugins)
        if not isinstance(plugin, STATELESS)
    ]


def without_state(strategy: Any) -> list[str]:  # noqa: ANN401
    """Return the plugins, or the strategy itself, whose state cannot be put into a checkpoint.

    A run with one of them goes on after a stop by training the stream again from its start, which
    under the same seed gives the same result, only later.
    """
    lacking = [
        type(plugin).__name__
        for _, plugin in plugin_keys(strategy)
        if not isinstance(plugin, Clock) and not hasattr(plugin, "state_dict")
    ]
    own = [] if strategy.state_is_in_plugins else [type(strategy).__name__]
    return own + lacking


def capture_plugins(strategy: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the state of every plugin that has one, by key."""
    states: dict[str, Any] = {}
    for key, plugin in plugin_keys(strategy):
        if isinstance(plugin, Clock):
            states[key] = {name: value for name, value in vars(plugin).items() if _counts(value)}
        elif hasattr(plugin, "state_dict"):
            states[key] = plugin.state_dict()
    return states


def restore_plugins(strategy: Any, states: dict[str, Any]) -> None:  # noqa: ANN401
    """Give every plugin its state back."""
    for key, plugin in plugin_keys(strategy):
        if key not in states:
            continue
        if isinstance(plugin, Clock):
            own = vars(plugin)
            own.update({k: v for k, v in states[key].items() if k in own and _counts(v)})
        elif hasattr(plugin, "load_state_dict"):
            plugin.load_state_dict(copied_to(states[key], strategy.device))


def copied_to(value: Any, device: torch.device) -> Any:  # noqa: ANN401
    """Return a copy of nested plain types with the tensors on a device.

    A copy, because a plugin may change its tensors in place while the state is still needed.
    """
    if isinstance(value, torch.Tensor):
        return value.to(device, copy=True)
    if isinstance(value, dict):
        return {key: copied_to(item, device) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied_to(item, device) for item in value)
    return value


def _counts(value: Any) -> bool:  # noqa: ANN401
    """Tell whether a clock's attribute is one of its counters."""
    return isinstance(value, int) and not isinstance(value, bool)
