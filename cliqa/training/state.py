"""States of a strategy's plugins for checkpoints, as tensors and plain types."""

from __future__ import annotations

from typing import Any

import torch
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.plugins.clock import Clock
from avalanche.training.templates.base_sgd import PeriodicEval

from cliqa.training.loop.avalanche_loop import RunSettings
from cliqa.training.strategy import Strategy

STATELESS = (EvaluationPlugin, PeriodicEval, RunSettings)
"""Plugins without a state that training depends on."""


def plugin_keys(strategy: Strategy) -> list[tuple[str, Any]]:
    """Return the strategy's plugins with keys that are stable from run to run."""
    return [
        (f"{index}.{type(plugin).__name__}", plugin)
        for index, plugin in enumerate(strategy.plugins)
        if not isinstance(plugin, STATELESS)
    ]


def without_state(strategy: Strategy) -> list[str]:
    """Return the plugins, or the strategy itself, whose state a checkpoint cannot hold.

    A run with one of them resumes by training the stream again from its start, which gives the same
    result under the same seed, but takes longer.
    """
    lacking = [
        type(plugin).__name__
        for _, plugin in plugin_keys(strategy)
        if not isinstance(plugin, Clock) and not hasattr(plugin, "state_dict")
    ]
    known = getattr(strategy, "state_is_in_plugins", False)
    own = [] if known else [type(strategy).__name__]
    return own + lacking


def plugin_records(strategy: Strategy) -> list[dict[str, Any]]:
    """Return what the plugins have found out, as rows of ``metrics.jsonl``."""
    found = [getattr(plugin, "records", list) for _, plugin in plugin_keys(strategy)]
    return [row for records in found for row in records()]


def capture_plugins(strategy: Strategy) -> dict[str, Any]:
    """Return the state of every plugin that has one, by key."""
    states: dict[str, Any] = {}
    for key, plugin in plugin_keys(strategy):
        if isinstance(plugin, Clock):
            states[key] = {name: value for name, value in vars(plugin).items() if _counts(value)}
        elif hasattr(plugin, "state_dict"):
            states[key] = plugin.state_dict()
    return states


def restore_plugins(strategy: Strategy, states: dict[str, Any]) -> None:
    """Restore the state of every plugin."""
    for key, plugin in plugin_keys(strategy):
        if key not in states:
            continue
        if isinstance(plugin, Clock):
            own = vars(plugin)
            own.update({k: v for k, v in states[key].items() if k in own and _counts(v)})
        elif hasattr(plugin, "load_state_dict"):
            plugin.load_state_dict(copied_to(states[key], strategy.device))


def copied_to(value: object, device: torch.device) -> Any:  # noqa: ANN401
    """Return a copy of nested plain types with the tensors on a device.

    A plugin may change its tensors in place while the original state is still needed.
    """
    if isinstance(value, torch.Tensor):
        return value.to(device, copy=True)
    if isinstance(value, dict):
        return {key: copied_to(item, device) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(copied_to(item, device) for item in value)
    return value


def _counts(value: object) -> bool:
    """Return whether a clock's attribute is one of its counters."""
    return isinstance(value, int) and not isinstance(value, bool)
