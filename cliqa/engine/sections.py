"""Parts of a config's sections, as the engine needs them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cliqa.benchmarks.presets import preset
from cliqa.benchmarks.random_splits import with_split
from cliqa.config.load import default_work_dir
from cliqa.evaluation.metrics.avalanche_metrics import OF_CLASSES
from cliqa.registry import PLUGINS, STRATEGIES, Component, ComponentRegistry, find
from cliqa.training.loop.options import TrainingOptions
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import home_path

TEMPLATE = ("train_mb_size", "train_epochs", "eval_mb_size", "eval_every", "peval_mode")
"""Arguments of Avalanche's template, which every strategy takes."""

BUILT = ("type", "optimizer", "scheduler", "loss", "plugins")
"""Keys of the strategy section that describe parts of their own."""

OF_RUN = ("seed", "num_workers", "amp")
"""Options at the config's top level."""

OPTIONS = tuple(field.name for field in fields(TrainingOptions) if field.name not in OF_RUN)
"""Options in the strategy section."""


def data_set_sections(scenario: Mapping[str, Any], key: str = "datasets") -> list[dict[str, Any]]:
    """Return the data sets of a scenario (or of its preset) with folders below its root.

    With ``split_index`` they have that random split, or that fold; those of ``evaluate_only``, the
    other `key`, are the same in all splits.

    Raises:
        ConfigError: They are no list of dicts, or a folder is no text: a stranger's file may hold
            any values.
    """
    listed = scenario["datasets"] if key == "datasets" else scenario.get(key) or []
    sections = preset(listed) if isinstance(listed, str) else listed
    root = scenario.get("dataset_root") or "."
    _check_data_sets(sections, root, key)
    base = home_path(root)
    found = [
        {**s, "root": str(base / home_path(s["root"]))} if "root" in s else dict(s)
        for s in sections
    ]
    return [with_split(section, scenario) if key == "datasets" else section for section in found]


def _check_data_sets(sections: object, root: object, key: str) -> None:
    """Refuse what `data_set_sections` cannot read.

    Raises:
        ConfigError: See there.
    """
    if not isinstance(root, (str, os.PathLike)):
        raise ConfigError(f"scenario.dataset_root: must be a folder, got {root!r:.80}.")
    if not isinstance(sections, (list, tuple)):
        raise ConfigError(f"scenario.{key}: must be a list of dicts, got {sections!r:.80}.")
    for place, section in enumerate(sections):
        where = f"scenario.{key}[{place}]"
        if not isinstance(section, Mapping):
            raise ConfigError(f"{where}: must be a dict(type=...), got {section!r:.80}.")
        own = section.get("root", "")
        if not isinstance(own, (str, os.PathLike)):
            raise ConfigError(f"{where}.root: must be a folder, got {own!r:.80}.")


def strategy_component(section: Mapping[str, Any]) -> tuple[ComponentRegistry, Component]:
    """Return the registry of the strategy's type, and the component.

    One of our plugins may be the type itself: ``type='Replay'`` is Naive with that plugin.
    Ours come first, then Avalanche's strategies.
    """
    name = section.get("type")
    STRATEGIES.import_from_location()
    PLUGINS.import_from_location()  # of other rooms than the strategies'
    if name not in STRATEGIES.module_dict and name in PLUGINS.module_dict:
        return PLUGINS, find(PLUGINS, section, "cl_strategy")
    return STRATEGIES, find(STRATEGIES, section, "cl_strategy")


def split_strategy(section: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the strategy's own section, without what is built from it, and the run's options.

    Where the type is a plugin, the template's arguments are left out too.
    """
    registry, _ = strategy_component(section)
    away = {*BUILT[1:], *OPTIONS, *(TEMPLATE if registry is PLUGINS else ())}
    own = {key: value for key, value in section.items() if key not in away}
    return own, {key: section[key] for key in OPTIONS if key in section}


def template_arguments(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template's arguments that a strategy section gives."""
    return {key: section[key] for key in TEMPLATE if key in section}


OF_SCORES_ALONE = ("quality_metrics",)
"""Metrics that need scores."""


def is_class_metric(name: object) -> bool:
    """Return whether a metric compares class labels."""
    return isinstance(name, str) and name.removeprefix("avalanche.") in OF_CLASSES


def run_folder(
    config: Mapping[str, Any], config_file: str | Path, work_dir: str | Path | None = None
) -> Path:
    """Return the folder of a config's run: the command line's, the config's, or by its name."""
    return home_path(work_dir or config.get("work_dir") or default_work_dir(config_file))


def resamples(config: Mapping[str, Any]) -> int:
    """Return the number of bootstrap resamples that a config asks for."""
    return int((config.get("evaluation") or {}).get("bootstrap", 1000))


def with_command_line(
    config: dict[str, Any], *, seed: int | None = None, amp: bool = False
) -> dict[str, Any]:
    """Return a config with the command line's values; the given one is not changed."""
    config = dict(config)
    config["seed"] = config.get("seed") or 0 if seed is None else seed
    config["amp"] = config.get("amp") or amp  # a config may name the type
    return config
