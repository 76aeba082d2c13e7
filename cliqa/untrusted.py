"""What a config that comes out of a file may name, by the registries."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from cliqa.registry import (
    DATASETS,
    GENERATORS,
    LOSSES,
    LR_SCHEDULERS,
    MODELS,
    OPTIMIZERS,
    PLUGINS,
    SCENARIOS,
    STRATEGIES,
    TRANSFORMS,
    ComponentRegistry,
)
from cliqa.utils.file_config import NOT_NEEDED, check_components, check_plain
from cliqa.utils.suggest import closest
from cliqa.utils.trust import is_trusting, refusal

BUILT: dict[str, tuple[ComponentRegistry, ...]] = {
    "model": (MODELS,),
    "cl_strategy": (STRATEGIES, PLUGINS, OPTIMIZERS, LR_SCHEDULERS, LOSSES),
    "scenario": (SCENARIOS, DATASETS, GENERATORS, TRANSFORMS),
    "eval_transform": (TRANSFORMS,),
    "pretrain": (LOSSES,),
}
"""Sections of a file that parts are built from, and where their names are looked up."""


def check_file_config(config: Mapping[str, Any], path: str | Path, *names: str) -> None:
    """Refuse a config that comes out of a file and asks for more than a file may.

    Args:
        config: Sections by name.
        path: The file.
        names: The sections that something is built from; all of `BUILT` by default.

    Raises:
        TrustError: It is none of plain values; or, unless files are trusted, it names a component
            that is none of ours or of upstream's closed list, or an address.
    """
    check_plain(config, path)
    for section in () if is_trusting() else names or BUILT:
        admits, refuse = partial(_admits, BUILT[section]), partial(_refusal, BUILT[section], path)
        left_out = NOT_NEEDED if section == "model" else ()
        check_components(config.get(section), section, admits, refuse, path, left_out)


def _admits(registries: tuple[ComponentRegistry, ...], name: str) -> bool:
    """Return whether a file may name a component of one of the registries."""
    return any(registry.admits(name) for registry in registries)


def _refusal(
    registries: tuple[ComponentRegistry, ...], path: str | Path, name: str, where: str
) -> Exception:
    """Return the error of a name that a file may not use."""
    held = any(registry.registered(name) for registry in registries)
    known = {known for registry in registries for known in registry.names()}
    return refusal(name, where, path, "" if held else closest(name, known) or " Is it registered?")
