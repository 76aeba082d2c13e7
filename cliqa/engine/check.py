"""All names and arguments of a config, checked before any data are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import torch
from avalanche.training.templates import SupervisedTemplate
from torch import nn

from cliqa.benchmarks.patches import Patches
from cliqa.deploy.search.options import deploy_options
from cliqa.engine.loggers.build import PROVIDED
from cliqa.engine.places import as_used, places
from cliqa.engine.scenario_check import (
    Check,
    kind_of,
    list_checks,
    run_all,
    scenario_checks,
    sections_of,
    try_to_build,
)
from cliqa.engine.sections import (
    OF_SCORES_ALONE,
    is_class_metric,
    split_strategy,
    strategy_component,
)
from cliqa.models.build import check_model
from cliqa.models.weights.start import check_start
from cliqa.registry import (
    LOGGERS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    PLUGINS,
    Component,
    ComponentRegistry,
    check_component,
    closest,
    find,
    parameters_of,
)
from cliqa.training.avalanche_methods import LEARN, cannot_learn
from cliqa.training.loop.options import TrainingOptions, training_options
from cliqa.training.loop.parameter_groups import ParameterGroups, without_groups
from cliqa.training.loop.schedule import Schedule
from cliqa.utils.errors import ConfigError

BY_ENGINE = ("model", "optimizer", "criterion", "plugins", "evaluator", "device")
"""Arguments of every strategy that are built from other sections."""


def check_config(config: dict[str, Any]) -> dict[str, Any]:
    """Check every component's name and arguments, and the run's options.

    Args:
        config: The resolved config; it is left as it is.

    Returns:
        The config with every argument as its component takes it; see `as_used`.

    Raises:
        ConfigError: With one line for every mistake found.
    """
    run_all(_checks(config))
    return as_used(config, places(config))


def _checks(config: dict[str, Any]) -> Iterable[Check]:
    """Yield the checks of all sections."""
    for key in ("scenario", "model", "cl_strategy"):
        if not isinstance(config.get(key), dict):
            raise ConfigError(f"{key}: expected dict(...), got {config.get(key)!r}.")
    yield from scenario_checks(config["scenario"])
    yield lambda: check_model(config["model"])
    yield from _strategy_checks(config["cl_strategy"])
    yield from list_checks(config, "loggers", LOGGERS, PROVIDED)
    yield from list_checks(config, "metrics", METRICS, ["work_dir"])
    yield lambda: _check_metrics(config)
    yield lambda: _check_learners(config)
    yield lambda: _check_patches(config)
    if config.get("load_from"):
        yield lambda: check_start(config["load_from"])
    if config.get("deploy") is not None:
        yield lambda: deploy_options(config["deploy"])


def _strategy_checks(section: dict[str, Any]) -> Iterable[Check]:
    """Yield the checks of the strategy section."""
    where = "cl_strategy"
    for key in ("optimizer", "loss"):
        if not isinstance(section.get(key), dict):
            raise ConfigError(f"{where}.{key}: missing. Add {key}=dict(type='...', ...).")
    optimizer = without_groups(section["optimizer"])
    yield lambda: try_to_build(OPTIMIZERS, optimizer, f"{where}.optimizer", params=[_parameter()])
    yield lambda: try_to_build(LOSSES, section["loss"], f"{where}.loss")
    yield lambda: _check_rates(section)
    for index, plugin in enumerate(sections_of(section, "plugins", f"{where}.")):
        yield lambda plugin=plugin, index=index: try_to_build(  # type: ignore[misc]
            PLUGINS, plugin, f"{where}.plugins[{index}]"
        )
    yield lambda: _check_strategy(section)


def _parameter() -> nn.Parameter:
    """Return something to optimise on trial."""
    return nn.Parameter(torch.zeros(()))


def _check_rates(section: dict[str, Any]) -> None:
    """Check the schedule, and that it suits the rates of all parameter groups."""
    schedule = Schedule(section.get("scheduler"), "cl_strategy.scheduler")
    epochs = section.get("train_epochs")
    schedule.check(epochs if isinstance(epochs, int) and epochs > 0 else 1)
    schedule.check_rates(ParameterGroups(section["optimizer"]).rates())


def _check_strategy(section: dict[str, Any]) -> None:
    """Check the strategy's own arguments and the run's options."""
    registry, _ = strategy_component(section)
    own, options = split_strategy(section)
    training_options(options)
    for key in ("train_mb_size", "eval_mb_size", "train_epochs"):
        value = section.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ConfigError(f"cl_strategy.{key}: expected a positive integer, got {value!r}.")
    every = section.get("eval_every", -1)
    if isinstance(every, bool) or not isinstance(every, int) or every < -1:
        raise ConfigError(f"cl_strategy.eval_every: expected an integer >= -1, got {every!r}.")
    provided = [*BY_ENGINE, *(field.name for field in fields(TrainingOptions))]
    if registry is PLUGINS:
        try_to_build(PLUGINS, own, "cl_strategy")
    else:
        _check_open_ended(own, check_component(registry, own, "cl_strategy", provided))


def _check_open_ended(own: dict[str, Any], component: Component) -> None:
    """Refuse what a strategy that takes any name would only stumble over when it is built."""
    known = {**parameters_of(SupervisedTemplate)[0], **parameters_of(component)[0]}
    for key in map(str, own):
        if key != "type" and key not in known:
            names = sorted(set(known) - set(BY_ENGINE) - {"kwargs", "base_kwargs"})
            raise ConfigError(
                f"cl_strategy '{own['type']}': unexpected argument '{key}'."
                f"{closest(key, names)} It accepts {', '.join(names)}."
            )


def _check_patches(config: dict[str, Any]) -> None:
    """Check how an epoch draws patches, where the scenario says so."""
    scenario = config["scenario"]
    names = {"patches_per_image": "per_image", "patch_pool": "pool"}
    given = {names[key]: scenario[key] for key in names if key in scenario}
    batch_size = config["cl_strategy"].get("train_mb_size", 1)
    Patches(**given).check(scenario.get("train_transform") or (), batch_size)


def _check_learners(config: dict[str, Any]) -> None:
    """Refuse strategies and plugins that cannot learn what the stream is labelled with."""
    kind = kind_of(config["scenario"])
    if kind is None:
        return
    section = config["cl_strategy"]
    plugins: list[Any] = section.get("plugins") or []
    _check_learner(strategy_component(section)[0], section, "cl_strategy", kind)
    for index, plugin in enumerate(plugins):
        _check_learner(PLUGINS, plugin, f"cl_strategy.plugins[{index}]", kind)
    stopping = any(plugin["type"].endswith("EarlyStoppingPlugin") for plugin in plugins)
    if stopping and section.get("eval_every", -1) in (-1, 0):
        raise ConfigError(
            "cl_strategy 'EarlyStoppingPlugin': no metric is measured while training goes on, so "
            "it would never stop. Set cl_strategy.eval_every=1."
        )


def _check_learner(
    registry: ComponentRegistry, section: dict[str, Any], where: str, kind: str
) -> None:
    """Refuse one of Avalanche's strategies or plugins that cannot learn the stream's targets."""
    if not cannot_learn(registry, find(registry, section, where), kind):
        return
    known = ", ".join(LEARN[kind][registry])
    why = (
        "Avalanche's needs class or task labels, and this stream has scores"
        if kind == "scores"
        else "Avalanche's needs a model or parts of its own, or does not run"
    )
    raise ConfigError(
        f"{where} '{section['type']}': {why}. Of Avalanche's these learn {kind}: {known}."
    )


def _check_metrics(config: dict[str, Any]) -> None:
    """Refuse metrics of class labels over a stream of scores, and the reverse."""
    kind = kind_of(config["scenario"])
    for index, section in enumerate(config.get("metrics") or []):
        name = section.get("type") if isinstance(section, dict) else None
        if kind == "classes" and name in OF_SCORES_ALONE:
            raise ConfigError(
                f"metrics[{index}] '{name}': measures quality scores, and this stream has classes. "
                "Use dict(type='accuracy_metrics', experience=True, stream=True)."
            )
        if kind == "scores" and is_class_metric(name):
            raise ConfigError(
                f"metrics[{index}] '{section['type']}': compares class labels, and this stream has "
                "scores. Use dict(type='quality_metrics')."
            )
