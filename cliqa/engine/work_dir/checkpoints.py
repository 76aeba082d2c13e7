"""Finding a run's checkpoint and reading a model out of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from cliqa.config.trust import built_from, without_weights
from cliqa.config.values import config_differences
from cliqa.engine.plugins import build_plugins, prepare_model
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.saved_config import admit_config, check_form, load_own_weights
from cliqa.models.build import build_model
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.language.text_files import load_texts
from cliqa.models.pruned import apply_pruning, pruning_in
from cliqa.registry import MODELS, find
from cliqa.training.views.views import TaskViews
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import CheckpointError

EXPORTED = (".onnx", ".xml", ".bin")
"""Endings of files that ``tools/compress.py`` writes."""


def find_checkpoint(path: str | Path) -> Path:
    """Return a checkpoint's path.

    Args:
        path: A checkpoint, or a work_dir, whose last one is meant.

    Raises:
        CheckpointError: There is none.
    """
    path = Path(path)
    if path.suffix in EXPORTED and path.is_file():
        raise CheckpointError(
            f"{path}: an exported model, which holds no checkpoint. Give the run's work_dir or one "
            "of its checkpoints; test_config.py takes an exported model as --exported."
        )
    found = WorkDir(path).last if path.is_dir() else path
    if not found.is_file():
        what = "work_dir without a checkpoint" if path.is_dir() else "no such checkpoint"
        raise CheckpointError(f"{path}: {what}. Train first, or give a file: exp_2.pth.")
    return found


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content: the path alone does not tell a model."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def is_run(state: dict[str, Any]) -> bool:
    """Tell whether a checkpoint is one of ours, with its config and its strategy's state."""
    return "strategy" in state and "config" in state


def load_run(path: Path) -> dict[str, Any]:
    """Return a run's checkpoint.

    Raises:
        CheckpointError: The file is damaged, or holds something else.
    """
    return as_run(load_checkpoint(path), path)


def as_run(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a checkpoint's content, if it is a run's.

    Args:
        state: The content.
        path: The checkpoint, for the error message.

    Raises:
        CheckpointError: It holds something else.
    """
    if "pretraining" in state:
        raise CheckpointError(
            f"{path}: of a pretraining, which has learnt no scores to evaluate. tools/predict.py "
            "scores images with it, and load_from starts a model from its encoder.pth."
        )
    if not is_run(state):
        raise CheckpointError(
            f"{path}: not a checkpoint of a run (no config in it). To start from plain weights, "
            f"use --cfg-options load_from={path}."
        )
    check_form(state, path)
    admit_config(state["config"], path)
    return {**state, "file": str(path)}


def model_of(state: dict[str, Any]) -> nn.Module:
    """Return the model that a run's checkpoint holds, in evaluation mode on the CPU."""
    return _models_of(state)[0]


def deployed_of(state: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """Return a checkpoint's model, and the network that predicts: all its views where a gate is.

    Args:
        state: A run's checkpoint.
    """
    model, plugins = _models_of(state)
    states = {key.partition(".")[2]: value for key, value in state["strategy"]["plugins"].items()}
    network = model
    for plugin in plugins:
        if isinstance(plugin, TaskViews) and type(plugin).__name__ in states:
            plugin.load_state_dict(states[type(plugin).__name__])
            found = plugin.deployed(model)
            network = network if found is model else found
    return model, network


def _models_of(state: dict[str, Any]) -> tuple[nn.Module, list[Any]]:
    """Return a checkpoint's model, and the plugins of its config, without their state."""
    path = state.get("file", "the checkpoint")
    with built_from(path):
        model = build_model(without_weights(state["config"]["model"]))
        apply_pruning(model, pruning_in(state))
        plugins = build_plugins(state["config"]["cl_strategy"])
        prepare_model(model, plugins)
    load_own_weights(model, state["strategy"]["model"], path)
    return model.eval(), plugins


def open_teacher(path: Path) -> nn.Module:
    """Return the model of a run that teaches another one; see `Distillation`.

    Args:
        path: The run's work_dir, or a checkpoint.

    Raises:
        CheckpointError: There is no run's checkpoint.
    """
    return model_of(load_run(find_checkpoint(path)))


def check_same_config(
    path: Path,
    saved: dict[str, Any],
    config: dict[str, Any],
    sections: Sequence[str],
    free: Sequence[str],
    own: Path,
) -> None:
    """Refuse to go on from a checkpoint under a config that would have led elsewhere.

    Args:
        path: The checkpoint.
        saved: The config that it was made under.
        config: The one to go on with.
        sections: Those that the result depends on.
        free: Keys in them that may differ.
        own: Where the run's config lies.

    Raises:
        CheckpointError: With the keys that differ.
    """
    old, new = ({key: one.get(key) for key in sections} for one in (saved, config))
    differing = [key for key in config_differences(old, new) if key not in free]
    if differing:
        shown = ", ".join(differing[:8]) + (", ..." if len(differing) > 8 else "")
        raise CheckpointError(
            f"{path}: made under another config; these keys differ: {shown}. Use the config "
            f"it was made with ({own}), or another --work-dir."
        )


def check_same_texts(path: Path, state: dict[str, Any], config: dict[str, Any]) -> None:
    """Refuse texts that have changed since a checkpoint was made: a config holds only their path.

    Args:
        path: The checkpoint.
        state: Its content.
        config: The config to go on with, the same as the checkpoint's.

    Raises:
        CheckpointError: With the first candidate that differs.
        ConfigError: The file of texts is missing or wrong.
    """
    source = config["model"].get("texts")
    component = find(MODELS, config["model"], "model") if source else None
    if not isinstance(component, type) or not issubclass(component, ImageTextModel):
        return
    content = bytes(state["strategy"]["model"]["_extra_state"].tolist()).decode()
    then, now = CandidateTexts.from_json(content, f"{path}"), load_texts(source)
    if then.to_json() == now.to_json():
        return
    told, tells = then.lines(), now.lines()
    names = dict.fromkeys([*told, *tells])
    changed = [n for n in names if told.get(n) != tells.get(n)] or ["the order"]
    old, new = (lines.get(changed[0], "another") for lines in (told, tells))
    raise CheckpointError(
        f"{path}: trained with other texts than {source} has now; changed: "
        f"{', '.join(changed[:8])}{', ...' if len(changed) > 8 else ''}.\n"
        f"  {changed[0]}, then: {old}\n  {changed[0]}, now:  {new}\n"
        "Put the texts back, or train anew in another folder."
    )


def check_fits(state: dict[str, Any], config: dict[str, Any], path: Path) -> None:
    """Refuse to evaluate a checkpoint under a config that it was not trained with.

    The model and the strategy must be the same, and so must the preprocessing of images: another
    resize or crop shifts every score.

    Raises:
        CheckpointError: With the keys that differ.
    """

    def deciding(whole: dict[str, Any]) -> dict[str, Any]:
        strategy = {k: v for k, v in whole["cl_strategy"].items() if k in ("type", "plugins")}
        transform = whole["scenario"].get("eval_transform")
        return {
            "model": whole["model"],
            "cl_strategy": strategy,
            "scenario": {"eval_transform": transform},
        }

    differing = config_differences(deciding(state["config"]), deciding(config))
    if differing:
        raise CheckpointError(
            f"{path}: trained with another config; these keys differ: {', '.join(differing[:8])}. "
            f"Use the config of its run: {path.parent.parent / 'config.py'}."
        )
