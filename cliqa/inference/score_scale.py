"""The scales of a config's data sets, known without their data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.datasets.labels.scale import from_unit
from cliqa.engine.sections import data_set_sections
from cliqa.inference.data_arguments import Scale
from cliqa.registry import DATASETS, find
from cliqa.utils.errors import ConfigError


def scales_of(scenario: Mapping[str, Any]) -> dict[str, Scale]:
    """Return the scale of each data set's raw scores, by its name.

    Args:
        scenario: The section; one of classes has none.

    Raises:
        ConfigError: A data set is unknown, or its range is none.
    """
    if "datasets" not in scenario:
        return {}
    found = {}
    for index, section in enumerate(data_set_sections(scenario)):
        component: Any = find(DATASETS, section, f"scenario.datasets[{index}]")
        arguments = {key: value for key, value in section.items() if key != "type"}
        low, high = component.declared_range(**arguments)
        higher = arguments.get("higher_is_better", not component.lower_is_better)
        found[_name(component, arguments)] = Scale(low, high, bool(higher))
    return found


def _name(component: Any, arguments: Mapping[str, Any]) -> str:  # noqa: ANN401
    """Return what a data set is called: as it says, or after its type or its label file."""
    if arguments.get("name") is not None:
        return str(arguments["name"])
    default = getattr(component, "default_name", None)
    return str(default) if default is not None else Path(arguments["labels"]).stem


def scale_of(scenario: Mapping[str, Any], name: str) -> Scale:
    """Return the scale of one data set.

    Raises:
        ConfigError: There is no such data set.
    """
    known = scales_of(scenario)
    if name not in known:
        has = f"has {', '.join(known)}" if known else "has no data sets of scores"
        raise ConfigError(f"--dataset {name}: the model's config {has}. Or use --scale LOW HIGH.")
    return known[name]


def on_scale(score: float, scale: Scale) -> float:
    """Return a score of 0..1 (what lies outside is clipped) in a data set's units and direction.

    >>> on_scale(0.25, Scale(0, 100)), on_scale(0.25, Scale(0, 100, higher_is_better=False))
    (25.0, 75.0)
    """
    clipped = np.clip(score, 0.0, 1.0)
    return float(from_unit(clipped, (scale.low, scale.high), scale.higher_is_better))
