"""The sections of a config that describe a component: found, checked and read in one walk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from cliqa.benchmarks.online import OnlineStream
from cliqa.config.arguments import checked_arguments
from cliqa.deploy.search.options import DeployOptions
from cliqa.engine.loggers.build import PROVIDED
from cliqa.engine.sections import split_strategy, strategy_component
from cliqa.engine.streams import TRANSFORMS as TRANSFORM_KEYS
from cliqa.engine.streams import takes_data_sets
from cliqa.models.build import PARTS as OF_MODEL
from cliqa.models.build import takes_name, with_type
from cliqa.models.weights.start import StartOptions
from cliqa.registry import (
    DATASETS,
    GENERATORS,
    LOGGERS,
    LOSSES,
    LR_SCHEDULERS,
    METRICS,
    MODELS,
    OPTIMIZERS,
    PLUGINS,
    SCENARIOS,
    TRANSFORMS,
    Component,
    ComponentRegistry,
    build_component,
    check_component,
    find,
)
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.parameter_groups import without_groups
from cliqa.utils.errors import ConfigError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A section of a config whose keys are the arguments of a component.

    Args:
        path: Its keys and indices from the top of the config.
        section: The section.
        takes: The component that takes the arguments, or the registry where its ``type`` is.
        provided: Arguments that the engine adds.
        built: Check the section by building the component, which checks its values too.
    """

    path: Path
    section: Any
    takes: ComponentRegistry | Component
    provided: Mapping[str, object] = field(default_factory=dict)
    built: bool = False

    @property
    def where(self) -> str:
        """The path as messages have it.

        >>> Place(("scenario", "datasets", 0), {}, dict).where
        'scenario.datasets[0]'
        """
        steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        return "".join(steps).removeprefix(".")

    @property
    def component(self) -> Component:
        """The component that takes the arguments."""
        if isinstance(self.takes, ComponentRegistry):
            return find(self.takes, self.section, self.where)
        return self.takes

    @property
    def given(self) -> dict[str, Any]:
        """The arguments."""
        return {key: value for key, value in self.section.items() if key != "type"}

    def check(self) -> None:
        """Check the component's name and arguments.

        Raises:
            ConfigError: One is unknown, missing, or does not fit.
        """
        if not isinstance(self.takes, ComponentRegistry):
            checked_arguments(self.takes, self.section, f"{self.where}.")
        elif self.built:
            with torch.random.fork_rng(devices=[]):
                build_component(self.takes, self.section, self.where, **self.provided)
        else:
            check_component(self.takes, self.section, self.where, self.provided)


def as_used(config: Mapping[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    """Return a checked config with every argument as its component takes it.

    ``higher_is_better="no"`` is False, and a list is a tuple where one is asked for. What plain
    values cannot hold (an enumeration's member) stays as it was written.
    """
    used = dict(config)
    for place in places:
        given = place.given
        found = checked_arguments(place.component, given, f"{place.where}.")
        for name, value in found.items():
            if type(value) is not type(given[name]) and isinstance(value, (bool, tuple)):
                used = _with(used, (*place.path, name), value)
    return used


def _with(owner: Any, path: Path, value: object) -> Any:  # noqa: ANN401
    """Return nested dicts and lists with another value at a path; all else is shared."""
    if not path:
        return value
    first, *rest = path
    copied: Any = dict(owner) if isinstance(owner, Mapping) else list(owner)
    copied[first] = _with(owner[first], tuple(rest), value)
    return tuple(copied) if isinstance(owner, tuple) else copied


def places(config: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a checked config of a stream."""
    scenario = config["scenario"]
    yield scenario_place(scenario)
    yield from data_places(scenario)
    for key in TRANSFORM_KEYS:
        yield from listed(TRANSFORMS, scenario, key, ("scenario",))
    yield from model_places(config)
    yield from strategy_places(config["cl_strategy"])
    yield from output_places(config)
    if config.get("deploy") is not None:
        yield Place(("deploy",), config["deploy"], DeployOptions)


def listed(
    registry: ComponentRegistry,
    owner: Mapping[str, Any],
    key: str,
    path: Path = (),
    *,
    provided: Iterable[str] = (),
    built: bool = False,
) -> Iterator[Place]:
    """Yield the places of a list of components; of transforms also the steps inside steps.

    The list is `owner`'s `key`, which may be missing; `path` leads to the owner.

    Raises:
        ConfigError: It is no list.
    """
    value = owner.get(key)
    where = (*path, key)
    if value is not None and not isinstance(value, (list, tuple)):
        shown = Place(where, value, registry).where
        raise ConfigError(f"{shown}: expected a list of dict(type='...'), got {value!r}.")
    for index, section in enumerate(value or ()):
        yield Place((*where, index), section, registry, dict.fromkeys(provided), built)
        nested = registry is TRANSFORMS and isinstance(section, Mapping)
        if nested and isinstance(section.get("transforms"), Sequence):
            yield from listed(registry, section, "transforms", (*where, index))


def scenario_place(scenario: Mapping[str, Any]) -> Place:
    """Return the place of a scenario's own arguments: data sets read the data themselves."""
    root = ("dataset_root",) if takes_data_sets(scenario) else ()
    of_data = ("generate", "online", *root)
    own = {key: value for key, value in scenario.items() if key not in of_data}
    return Place(("scenario",), own, SCENARIOS)


def data_places(scenario: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a scenario's data sets and of their generator."""
    if not isinstance(scenario.get("datasets"), str):
        yield from listed(DATASETS, scenario, "datasets", ("scenario",))
    if takes_data_sets(scenario):
        yield from listed(DATASETS, scenario, "evaluate_only", ("scenario",))
    if isinstance(scenario.get("online"), Mapping):
        yield Place(("scenario", "online"), scenario["online"], OnlineStream)
    if scenario.get("generate") is not None:
        yield Place(("scenario", "generate"), scenario["generate"], GENERATORS, built=True)


def model_places(config: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a checked model and its parts, and of what it starts from."""
    model = config["model"]
    place = Place(("model",), with_type(model, "model"), MODELS)
    yield place
    for part in OF_MODEL:
        if isinstance(model.get(part), Mapping) and not takes_name(place.component, part):
            yield Place(("model", part), model[part], MODELS)
    if isinstance(config.get("load_from"), Mapping):
        yield Place(("load_from",), config["load_from"], StartOptions)


def strategy_parts(section: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a strategy's optimizer, loss and plugins."""
    path = ("cl_strategy",)
    params = {"params": [nn.Parameter(torch.zeros(()))]}
    optimizer = without_groups(section["optimizer"])
    yield Place((*path, "optimizer"), optimizer, OPTIMIZERS, params, built=True)
    yield Place((*path, "loss"), section["loss"], LOSSES, built=True)
    yield from listed(PLUGINS, section, "plugins", path, built=True)


def strategy_places(section: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a checked strategy and all its parts."""
    own, options = split_strategy(section)
    yield Place(("cl_strategy",), own, strategy_component(section)[0])
    yield Place(("cl_strategy",), options, TrainingOptions)
    yield from strategy_parts(section)
    if section.get("scheduler") is not None:
        yield Place(("cl_strategy", "scheduler"), section["scheduler"], LR_SCHEDULERS)


def output_places(config: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a config's loggers and metrics."""
    yield from listed(LOGGERS, config, "loggers", provided=PROVIDED)
    yield from listed(METRICS, config, "metrics", provided=PROVIDED)
