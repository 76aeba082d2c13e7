"""The places of a config that describe a component, and what their arguments mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cliqa.config.arguments import checked_arguments
from cliqa.deploy.search.options import DeployOptions
from cliqa.engine.sections import split_strategy, strategy_component
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
    find,
)
from cliqa.training.loop.options import TrainingOptions

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A dict of a config whose keys are arguments.

    Args:
        path: Its keys and indices from the top of the config.
        component: What takes the arguments.
        given: The arguments.
    """

    path: Path
    component: Component
    given: Mapping[str, Any]


def where_of(path: Path) -> str:
    """Return a path as messages have it.

    >>> where_of(("scenario", "datasets", 0))
    'scenario.datasets[0]'
    """
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def as_used(config: Mapping[str, Any], places: Iterable[Place]) -> dict[str, Any]:
    """Return a checked config with every argument as its component takes it.

    ``higher_is_better="no"`` is False, and a list is a tuple where one is asked for. What plain
    values cannot hold (an enumeration's member) stays as it was written.

    Args:
        config: The config; it is left as it is.
        places: Its places.
    """
    used = dict(config)
    for place in places:
        found = checked_arguments(place.component, place.given, f"{where_of(place.path)}.")
        for name, value in found.items():
            if type(value) is not type(place.given[name]) and isinstance(value, (bool, tuple)):
                used = _with(used, (*place.path, name), value)
    return used


def _with(owner: Any, path: Path, value: Any) -> Any:  # noqa: ANN401
    """Return nested dicts and lists with another value at a path, what lies beside it shared."""
    if not path:
        return value
    first, *rest = path
    copied: Any = dict(owner) if isinstance(owner, Mapping) else list(owner)
    copied[first] = _with(owner[first], tuple(rest), value)
    return tuple(copied) if isinstance(owner, tuple) else copied


def places(config: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a checked config of a stream.

    Args:
        config: The config.
    """
    yield from _of_scenario(config["scenario"])
    yield from of_model(config["model"])
    yield from _of_strategy(config["cl_strategy"])
    yield from listed(LOGGERS, config.get("loggers"), ("loggers",))
    yield from listed(METRICS, config.get("metrics"), ("metrics",))
    yield from of_start(config.get("load_from"))
    if config.get("deploy") is not None:
        yield Place(("deploy",), DeployOptions, config["deploy"])


def of_start(source: Any) -> Iterator[Place]:  # noqa: ANN401
    """Yield the place of ``load_from``, where it is a dict.

    Args:
        source: The checked section.
    """
    if isinstance(source, Mapping):
        yield Place(("load_from",), StartOptions, source)


def of_section(registry: ComponentRegistry, section: Mapping[str, Any], path: Path) -> Place:
    """Return the place of a section with a ``type``.

    Args:
        registry: Where its type is.
        section: The checked section.
        path: Where it lies.
    """
    given = {key: value for key, value in section.items() if key != "type"}
    return Place(path, find(registry, section, where_of(path)), given)


def listed(registry: ComponentRegistry, sections: Any, path: Path) -> Iterator[Place]:  # noqa: ANN401
    """Yield the places of a list, and of the steps inside its steps.

    Args:
        registry: Where their types are.
        sections: The checked list, None for none.
        path: Where it lies.
    """
    for index, section in enumerate(sections or ()):
        place = of_section(registry, section, (*path, index))
        yield place
        if registry is TRANSFORMS and isinstance(place.given.get("transforms"), Sequence):
            yield from listed(registry, place.given["transforms"], (*place.path, "transforms"))


def _of_scenario(scenario: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of the scenario."""
    of_data = ("dataset_root", "generate") if takes_data_sets(dict(scenario)) else ("generate",)
    own = {key: value for key, value in scenario.items() if key not in of_data}
    yield of_section(SCENARIOS, own, ("scenario",))
    if not isinstance(scenario.get("datasets"), str):
        yield from listed(DATASETS, scenario.get("datasets"), ("scenario", "datasets"))
    if scenario.get("generate") is not None:
        yield of_section(GENERATORS, scenario["generate"], ("scenario", "generate"))
    for key in ("train_transform", "eval_transform"):
        yield from listed(TRANSFORMS, scenario.get(key), ("scenario", key))


def of_model(model: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a model and its parts.

    Args:
        model: The checked section.
    """
    place = of_section(MODELS, with_type(model, "model"), ("model",))
    yield place
    for part in OF_MODEL:
        if isinstance(model.get(part), Mapping) and not takes_name(place.component, part):
            yield of_section(MODELS, model[part], ("model", part))


def _of_strategy(section: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of the strategy."""
    own, options = split_strategy(section)
    given = {key: value for key, value in own.items() if key != "type"}
    yield Place(("cl_strategy",), strategy_component(section)[1], given)
    yield Place(("cl_strategy",), TrainingOptions, options)
    optimizer = {key: value for key, value in section["optimizer"].items() if key != "paramwise"}
    yield of_section(OPTIMIZERS, optimizer, ("cl_strategy", "optimizer"))
    yield of_section(LOSSES, section["loss"], ("cl_strategy", "loss"))
    if section.get("scheduler") is not None:
        yield of_section(LR_SCHEDULERS, section["scheduler"], ("cl_strategy", "scheduler"))
    yield from listed(PLUGINS, section.get("plugins"), ("cl_strategy", "plugins"))
