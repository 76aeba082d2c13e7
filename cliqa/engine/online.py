"""What a config may not ask for together with ``scenario.online``, found before data are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from avalanche.benchmarks import CLScenario
from avalanche.training.templates import SupervisedTemplate

from cliqa.engine.plugins import build_plugins
from cliqa.engine.sections import strategy_component
from cliqa.engine.streams import online_of
from cliqa.registry import PLUGINS, Component
from cliqa.training.loop.stream_data import StreamData
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.utils.errors import ConfigError

ALONE = "leave scenario.online (or split_online_stream) out"


def check_online(config: Mapping[str, Any]) -> None:
    """Refuse strategies, plugins and options that cannot do with samples that arrive in chunks.

    Raises:
        ConfigError: With a line for each of them.
    """
    options = online_of(config["scenario"])
    if options is not None:
        _check(config["cl_strategy"], options.boundaries == "hidden", options.blur > 0)


def check_arrival(config: Mapping[str, Any], benchmark: CLScenario) -> None:
    """Refuse the same for a benchmark of Avalanche's that is an online stream itself.

    Raises:
        ConfigError: With a line for each of them.
    """
    stream = benchmark.streams.get("train", ())
    found = [a for e in stream if (a := getattr(e, "arrival", None)) is not None]
    if config["scenario"].get("online") is None and found:
        hidden, mixed = any(a.hidden for a in found), any(a.mixed for a in found)
        _check(config["cl_strategy"], hidden, mixed)


def _check(section: Mapping[str, Any], hidden: bool, mixed: bool) -> None:
    """Refuse what does not go with chunks, with hidden boundaries, or with mixed experiences."""
    found = [*_mistakes(section, hidden, mixed)]
    if hidden:
        found += _of_boundaries(section)
    if found:
        raise ConfigError("\n".join(found))


def _mistakes(section: Mapping[str, Any], hidden: bool, mixed: bool) -> Iterator[str]:
    """Yield what does not go with chunks."""
    _, component = strategy_component(section)
    if component.__name__ == "Cumulative":
        yield f"cl_strategy 'Cumulative': trains on all earlier images again. To do so, {ALONE}."
    if component.__module__.startswith("avalanche."):
        yield (
            f"cl_strategy '{section['type']}': Avalanche's makes batches of its own. With "
            f"scenario.online use one of this package's, or {ALONE}."
        )
    elif _loads_itself(component):
        yield (
            f"cl_strategy '{section['type']}': loads whole experiences. Let it load "
            f"self.new_samples() in training_epoch and set takes_chunks=True, or {ALONE}."
        )
    elif isinstance(component, type) and issubclass(component, StreamData):
        yield from component.chunk_mistakes(section, hidden, mixed)
    for index, plugin in enumerate(_plugins(section)):
        if not isinstance(plugin, ContinualPlugin):
            yield (
                f"cl_strategy.plugins[{index}] '{type(plugin).__name__}': is not of this package, "
                f"and does not know chunks. Drop it, or {ALONE}."
            )
    for key in ("keep_best", "patience"):
        if section.get(key):
            yield (
                f"cl_strategy.{key}: chooses among epochs over the same images, and with "
                f"scenario.online every epoch has new ones. Drop it, or {ALONE}."
            )


def _loads_itself(component: Component) -> bool:
    """Return whether a strategy makes a training loader of its own, and not one of a chunk."""
    own = getattr(component, "make_train_dataloader", None)
    known = own in (
        None,
        StreamData.make_train_dataloader,
        SupervisedTemplate.make_train_dataloader,
    )
    return not known and not getattr(component, "takes_chunks", False)


def _of_boundaries(section: Mapping[str, Any]) -> Iterator[str]:
    """Yield what has to know where an experience ends."""
    known = "Set scenario.online.boundaries='known' (Avalanche's access_task_boundaries)"
    for plugin in _plugins(section):
        why = plugin.needs_boundaries() if isinstance(plugin, ContinualPlugin) else ""
        if why:
            yield f"cl_strategy '{type(plugin).__name__}': {why}. {known}, or drop it."
    if section.get("scheduler") is not None:
        yield (
            "cl_strategy.scheduler: starts again with every experience. "
            f"{known}, or scheduler=None."
        )
    if section.get("reset_optimizer"):
        yield (
            "cl_strategy.reset_optimizer: resets at the start of every experience. "
            f"{known}, or reset_optimizer=False."
        )


def _plugins(section: Mapping[str, Any]) -> list[Any]:
    """Return the plugins of a strategy, built for their answers alone."""
    with torch.random.fork_rng(devices=[]):
        plugins = build_plugins(section)
    registry, _ = strategy_component(section)
    return plugins[1:] + plugins[:1] if registry is PLUGINS else plugins
