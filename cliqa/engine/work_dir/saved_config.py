"""The config in a checkpoint: checked before anything is built from it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from cliqa.config.trust import (
    Names,
    check_names,
    check_plain,
    import_custom_modules,
    is_trusting,
    refuse_imports,
    without_weights,
)
from cliqa.deploy.description import KINDS, of_scenarios
from cliqa.engine.sections import with_command_line
from cliqa.registry import LOSSES, LR_SCHEDULERS, MODELS, OPTIMIZERS, PLUGINS, STRATEGIES
from cliqa.utils.errors import CheckpointError

BUILT: dict[str, tuple[Names, ...]] = {
    "model": (MODELS,),
    "cl_strategy": (STRATEGIES, PLUGINS, OPTIMIZERS, LR_SCHEDULERS, LOSSES),
    "scenario": of_scenarios(),
    "pretrain": (LOSSES,),
}
"""Sections that parts are built from, and where their names are looked up."""

SHOWN = 160
"""Characters of torch's list of missing weights that a message shows."""

OF_RUN: dict[str, type] = {
    "config": dict,
    **dict.fromkeys(("config.scenario", "config.model", "config.cl_strategy"), dict),
    "strategy": dict,
    **dict.fromkeys(("strategy.model", "strategy.plugins"), dict),
    "names": list,
    "next_step": int,
}
OF_PRETRAINING: dict[str, type] = {
    "config": dict,
    **dict.fromkeys(("config.model", "config.pretrain"), dict),
    "pretraining": dict,
    "pretraining.model": dict,
    "pretraining.model.anchors": Tensor,
}
"""What a checkpoint holds at the least, and of which kind it is."""

OUTWARD = ("loggers", "metrics", "custom_imports", "deploy", "work_dir")
"""Sections that an untrusted file's word is not taken for: they write, send, import."""


def admit_config(config: dict[str, Any], path: Path) -> None:
    """Check a config from a file; import its modules only if the file is trusted.

    Raises:
        TrustError: It asks for more than the config of an untrusted file may.
        ConfigError: The file is trusted, and a module of its run cannot be imported.
    """
    check_plain(config, path)
    if is_trusting():
        import_custom_modules(config.get("custom_imports"), str(path))
    else:
        refuse_imports(config.get("custom_imports"), path)
    check_names(config, path, BUILT)


def check_form(state: Mapping[str, Any], path: Path, form: Mapping[str, type] = OF_RUN) -> None:
    """Refuse a checkpoint whose entries have other types than training writes.

    `form` has the kind of every entry by the keys that lead to it; owners come first.

    Raises:
        CheckpointError: With the first entry that is of another kind.
    """
    for where, expected in form.items():
        value: Any = state
        for key in where.split("."):
            value = value.get(key)
        if not isinstance(value, expected):
            raise CheckpointError(
                f"{path}: damaged: its {where} is no {expected.__name__} but "
                f"{type(value).__name__}. Use another checkpoint of the run."
            )


def image_parts(state: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a checkpoint's entries about images: names, classes, channels, preprocessing.

    Raises:
        CheckpointError: One of them is something else.
    """
    parts = {
        "names": state["names"],
        "classes": state.get("classes") or [],
        "channels": state.get("channels") or 3,
        "eval_transform": state["config"]["scenario"].get("eval_transform"),
    }
    for key, value in parts.items():
        parts[key] = list(value) if isinstance(value, tuple) else value
        expected, fits = KINDS[key]
        if parts[key] is None or not fits(parts[key]):
            raise CheckpointError(
                f"{path}: damaged: its {key} must be {expected}. Use another checkpoint of the run."
            )
    return parts


def config_to_build(state: dict[str, Any]) -> dict[str, Any]:
    """Return a run's config for tools: the weights come from the checkpoint alone.

    What writes and sends (loggers, metrics) is left out, unless the file is trusted.
    """
    config = with_command_line(state["config"])
    config |= {"model": without_weights(config["model"]), "load_from": None}
    return config if is_trusting() else {k: v for k, v in config.items() if k not in OUTWARD}


def load_own_weights(model: nn.Module, weights: Mapping[str, Any], path: str | Path) -> None:
    """Load a checkpoint's weights into the model that was built from its config.

    Raises:
        CheckpointError: They are of another model.
    """
    try:
        model.load_state_dict(weights)
    except (RuntimeError, AttributeError, TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: damaged: its weights are not those of the model that it describes "
            f"({reason(error)}). Use another checkpoint of the run."
        ) from error


def reason(error: Exception) -> str:
    """Return the last line of an error, shortened for a message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[-1], SHOWN, placeholder=" ...")
