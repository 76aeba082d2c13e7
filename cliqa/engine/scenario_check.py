"""The names and arguments of a scenario's section, checked before any data are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from cliqa.benchmarks.presets import preset
from cliqa.engine.streams import takes_data_sets
from cliqa.registry import (
    DATASETS,
    GENERATORS,
    SCENARIOS,
    ComponentRegistry,
    build_component,
    check_component,
)
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import CliqaError, ConfigError

Check = Callable[[], object]


def check_scenario(scenario: Any) -> None:  # noqa: ANN401
    """Check the names and arguments of a scenario's section.

    Raises:
        ConfigError: With one line for every mistake found.
    """
    if not isinstance(scenario, dict):
        raise ConfigError(f"scenario: expected dict(...), got {scenario!r}.")
    run_all(scenario_checks(scenario))


def run_all(checks: Iterable[Check]) -> None:
    """Run checks, and raise what all of them have found."""
    mistakes = []
    try:
        for check in checks:
            try:
                check()
            except CliqaError as error:
                mistakes.append(str(error))
    except CliqaError as error:  # what the checks after it look at is not there
        mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))


def sections_of(owner: dict[str, Any], key: str, parent: str) -> Sequence[Any]:
    """Return the sections of a list, none where it is None or missing.

    Raises:
        ConfigError: It is no list.
    """
    value = owner.get(key)
    if value is not None and not isinstance(value, (list, tuple)):
        raise ConfigError(f"{parent}{key}: expected a list of dict(type='...'), got {value!r}.")
    return value or ()


def list_checks(
    config: dict[str, Any],
    key: str,
    registry: Any,  # noqa: ANN401
    provided: Iterable[str] = (),
    parent: str = "",
) -> Iterable[Check]:
    """Yield a check for each entry of a list of components."""
    for index, section in enumerate(sections_of(config, key, parent)):
        where = f"{parent}{key}[{index}]"
        yield lambda section=section, where=where: check_component(  # type: ignore[misc]
            registry, section, where, provided
        )


def scenario_checks(scenario: dict[str, Any]) -> Iterable[Check]:
    """Yield the checks of the scenario section."""
    if isinstance(scenario.get("datasets"), str):
        yield lambda: preset(scenario["datasets"])
        scenario = {**scenario, "datasets": []}
    elif "datasets" in scenario and not scenario["datasets"]:
        raise ConfigError("scenario.datasets: names none. Write [dict(type='...', root='...')].")
    yield from list_checks(scenario, "datasets", DATASETS, parent="scenario.")
    for key in ("train_transform", "eval_transform"):
        if scenario.get(key) is not None:
            yield lambda key=key: build_pipeline(  # type: ignore[misc]
                scenario[key], f"scenario.{key}", quality=kind_of(scenario) != "classes"
            )
    if scenario.get("generate") is not None:
        yield lambda: try_to_build(GENERATORS, scenario["generate"], "scenario.generate")
    yield lambda: _check_scenario(scenario)


def _check_scenario(scenario: dict[str, Any]) -> None:
    """Check the scenario's own arguments; streams of data sets leave the folder to those."""
    away = ("dataset_root", "generate") if takes_data_sets(scenario) else ("generate",)
    rest = {key: value for key, value in scenario.items() if key not in away}
    check_component(SCENARIOS, rest, "scenario")
    root = scenario.get("dataset_root")
    if root is not None and not isinstance(root, str):
        raise ConfigError(f"scenario.dataset_root: expected a path, got {root!r}.")


def kind_of(scenario: dict[str, Any]) -> str | None:
    """Return what a scenario's samples are labelled with, None where it is unknown."""
    name = scenario.get("type")
    component = SCENARIOS.get(name) if isinstance(name, str) else None
    return getattr(component, "target_kind", None)


def try_to_build(
    registry: ComponentRegistry,
    section: Any,  # noqa: ANN401
    where: str,
    **provided: Any,  # noqa: ANN401
) -> None:
    """Check a component that is built in no time by building it, so that its values are tried."""
    check_component(registry, section, where, provided)
    with torch.random.fork_rng(devices=[]):
        build_component(registry, section, where, **provided)
