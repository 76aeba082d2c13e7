"""All names and arguments of a config, checked before any data are read."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any

from avalanche.training.templates import SupervisedTemplate

from cliqa.benchmarks.patches import Patches
from cliqa.benchmarks.presets import preset
from cliqa.deploy.search.options import deploy_options
from cliqa.engine.online import check_online
from cliqa.engine.places import (
    Place,
    as_used,
    data_places,
    output_places,
    places,
    scenario_place,
    strategy_parts,
)
from cliqa.engine.sections import (
    OF_SCORES_ALONE,
    is_class_metric,
    split_strategy,
    strategy_component,
)
from cliqa.engine.streams import TRANSFORMS
from cliqa.evaluation.metrics.avalanche_metrics import NEED_A_SCRIPT
from cliqa.models.build import check_model, check_unused
from cliqa.models.weights.start import check_start
from cliqa.registry import (
    MODELS,
    PLUGINS,
    SCENARIOS,
    Component,
    ComponentRegistry,
    check_component,
    closest,
    find,
    parameters_of,
)
from cliqa.training.avalanche_methods import cannot_learn
from cliqa.training.loop.options import TrainingOptions, training_options
from cliqa.training.loop.parameter_groups import ParameterGroups
from cliqa.training.loop.schedule import Schedule
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import CliqaError, ConfigError

BY_ENGINE = ("model", "optimizer", "criterion", "plugins", "evaluator", "device")
"""Arguments of every strategy that are built from other sections."""

Check = Callable[[], object]


def check_config(config: dict[str, Any]) -> dict[str, Any]:
    """Check every component's name and arguments, and the run's options.

    Returns:
        The config with every argument as its component takes it; see `as_used`.

    Raises:
        ConfigError: With one line for every mistake found.
    """
    run_all(_checks(config))
    return as_used(config, places(config))


def check_scenario(scenario: object) -> None:
    """Check the names and arguments of a scenario's section.

    Raises:
        ConfigError: With one line for every mistake found.
    """
    if not isinstance(scenario, dict):
        raise ConfigError(f"scenario: expected dict(...), got {scenario!r}.")
    run_all(_scenario_checks(scenario))


def run_all(checks: Iterable[Check]) -> None:
    """Run checks, and raise the mistakes of all of them in one error."""
    mistakes = []
    try:
        for check in checks:
            try:
                check()
            except CliqaError as error:
                mistakes.append(str(error))
    except CliqaError as error:  # the sections of the checks after it are missing
        mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def kind_of(scenario: dict[str, Any]) -> str | None:
    """Return the kind of a scenario's labels, ``scores`` or ``classes``; None if it is unknown."""
    name = scenario.get("type")
    component = SCENARIOS.get(name) if isinstance(name, str) else None
    return getattr(component, "target_kind", None)


def _checks(config: dict[str, Any]) -> Iterable[Check]:
    """Yield the checks of all sections."""
    for key in ("scenario", "model", "cl_strategy"):
        if not isinstance(config.get(key), dict):
            raise ConfigError(f"{key}: expected dict(...), got {config.get(key)!r}.")
    yield from _scenario_checks(config["scenario"])
    yield lambda: check_model(config["model"])
    yield lambda: check_unused(config["model"], config["cl_strategy"].get("loss"))
    yield from _strategy_checks(config["cl_strategy"])
    for place in output_places(config):
        yield place.check
    yield lambda: _check_metrics(config)
    yield lambda: _check_learners(config)
    yield lambda: _check_head(config)
    yield lambda: _check_patches(config)
    yield lambda: check_online(config)
    if config.get("load_from"):
        yield lambda: check_start(config["load_from"])
    if config.get("deploy") is not None:
        yield lambda: deploy_options(config["deploy"])
        yield lambda: _check_deployed(config["scenario"])


def _check_deployed(scenario: dict[str, Any]) -> None:
    """Refuse to deploy a model that takes no images, before it is trained."""
    feature = scenario.get("feature_type")
    if feature is not None:
        raise ConfigError(
            f"deploy: scenario.feature_type='{feature}': the model takes features, and a deployed "
            "file takes images. Leave deploy out, or set scenario.feature_type=None."
        )


def _scenario_checks(scenario: dict[str, Any]) -> Iterable[Check]:
    """Yield the checks of the scenario section."""
    if isinstance(scenario.get("datasets"), str):
        yield lambda: preset(scenario["datasets"])
        scenario = {**scenario, "datasets": []}
    elif "datasets" in scenario and not scenario["datasets"]:
        raise ConfigError("scenario.datasets: names none. Write [dict(type='...', root='...')].")
    for place in data_places(scenario):
        yield place.check
    for key in TRANSFORMS:
        if scenario.get(key) is not None:
            yield lambda key=key: build_pipeline(  # type: ignore[misc]
                scenario[key], f"scenario.{key}", quality=kind_of(scenario) != "classes"
            )
    yield lambda: _check_scenario(scenario)


def _check_scenario(scenario: dict[str, Any]) -> None:
    """Check the scenario's own arguments; streams of data sets leave the folder to those."""
    if scenario.get("evaluate_only") and kind_of(scenario) == "classes":
        raise ConfigError(
            f"scenario.evaluate_only: '{scenario['type']}' is a stream of classes, and another "
            "data set has other classes. Leave it out, and measure a trained model on other images "
            "of the same classes: cliqa evaluate WORK_DIR --dataset-root FOLDER "
            "--allow-changed-data."
        )
    scenario_place(scenario).check()
    root = scenario.get("dataset_root")
    if root is not None and not isinstance(root, str):
        raise ConfigError(f"scenario.dataset_root: expected a path, got {root!r}.")


def _strategy_checks(section: dict[str, Any]) -> Iterable[Check]:
    """Yield the checks of the strategy section."""
    for key in ("optimizer", "loss"):
        if not isinstance(section.get(key), dict):
            raise ConfigError(f"cl_strategy.{key}: missing. Add {key}=dict(type='...', ...).")
    for place in strategy_parts(section):
        yield place.check
    yield lambda: _check_rates(section)
    yield lambda: _check_strategy(section)


def _check_rates(section: dict[str, Any]) -> None:
    """Check the schedule, also against the learning rates of all parameter groups."""
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
        Place(("cl_strategy",), own, PLUGINS, built=True).check()
        return
    component = check_component(registry, own, "cl_strategy", provided)
    _check_open_ended(own, component)
    check_values = getattr(component, "check_arguments", None)  # what is built with the model only
    if check_values is not None:
        known = inspect.signature(check_values).parameters
        check_values(**{key: value for key, value in own.items() if key in known})


def _check_open_ended(own: dict[str, Any], component: Component) -> None:
    """Refuse unknown arguments of a strategy that takes ``**kwargs``."""
    known = {**parameters_of(SupervisedTemplate)[0], **parameters_of(component)[0]}
    for key in map(str, own):
        if key != "type" and key not in known:
            names = sorted(set(known) - set(BY_ENGINE) - {"kwargs", "base_kwargs"})
            raise ConfigError(
                f"cl_strategy '{own['type']}': unexpected argument '{key}'."
                f"{closest(key, names)} It accepts {', '.join(names)}."
            )


def _check_patches(config: dict[str, Any]) -> None:
    """Check how an epoch draws patches, if the scenario asks for them."""
    scenario = config["scenario"]
    names = {"patches_per_image": "per_image", "patch_pool": "pool"}
    given = {names[key]: scenario[key] for key in names if key in scenario}
    batch_size = config["cl_strategy"].get("train_mb_size", 1)
    Patches(**given).check(scenario.get("train_transform") or (), batch_size)


def _check_learners(config: dict[str, Any]) -> None:
    """Refuse strategies and plugins that cannot learn the stream's kind of labels."""
    kind = kind_of(config["scenario"])
    if kind is None:
        return
    section = config["cl_strategy"]
    plugins: list[Any] = section.get("plugins") or []
    _check_learner(strategy_component(section)[0], section, "cl_strategy", kind)
    for index, plugin in enumerate(plugins):
        _check_learner(PLUGINS, plugin, f"cl_strategy.plugins[{index}]", kind)


def _check_learner(
    registry: ComponentRegistry, section: dict[str, Any], where: str, kind: str
) -> None:
    """Refuse an Avalanche strategy or plugin that cannot learn the stream's kind of labels."""
    why = cannot_learn(registry, find(registry, section, where), kind)
    if why:
        raise ConfigError(f"{where} '{section['type']}': {why}")


def _check_head(config: dict[str, Any]) -> None:
    """Refuse a head that the strategy cannot train, where the model names its head."""
    head = config["model"].get("head")
    check = getattr(strategy_component(config["cl_strategy"])[1], "check_head_type", None)
    if check is not None and isinstance(head, dict) and "type" in head:
        check(find(MODELS, head, "model.head"))


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
        needed = NEED_A_SCRIPT.get(str(name).removeprefix("avalanche."))
        if kind == "classes" and needed:
            raise ConfigError(f"metrics[{index}] '{name}': {needed}.")
        if kind == "scores" and is_class_metric(name):
            raise ConfigError(
                f"metrics[{index}] '{section['type']}': compares class labels, and this stream has "
                "scores. Use dict(type='quality_metrics')."
            )
