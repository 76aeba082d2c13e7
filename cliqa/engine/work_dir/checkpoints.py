"""Finding a run's checkpoint and reading a model out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from cliqa.config.trust import built_from, without_weights
from cliqa.engine.plugins import build_plugins, prepare_model
from cliqa.engine.shared_model.folder import ENTRIES, WEIGHTS, holds_shared_model, read_shared
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.saved_config import admit_config, check_form, load_own_weights
from cliqa.models.build import build_model
from cliqa.models.pruned import apply_pruning, pruning_in
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import CheckpointError

EXPORTED = (".onnx", ".xml", ".bin")
"""Endings of files that ``cliqa compress`` writes."""


def find_checkpoint(path: str | Path) -> Path:
    """Return the path of a checkpoint; of a work_dir, its last one; of a shared model, its weights.

    Raises:
        CheckpointError: There is none.
    """
    path = Path(path)
    if path.suffix in EXPORTED and path.is_file():
        raise CheckpointError(
            f"{path}: an exported model, which holds no checkpoint. Give the run's work_dir or one "
            "of its checkpoints; cliqa test takes an exported model as --exported."
        )
    if holds_shared_model(path):
        return path / WEIGHTS
    if path.parts[:1] == ("hf:",):
        raise CheckpointError(
            f"{path}: a model on the Hub, which cliqa predict and cliqa.load take. Download it for "
            "other uses: hf download OWNER/NAME --local-dir FOLDER"
        )
    found = WorkDir(path).last if path.is_dir() else path
    if not found.is_file():
        what = "work_dir without a checkpoint" if path.is_dir() else "no such checkpoint"
        raise CheckpointError(f"{path}: {what}. Train first, or give a file: exp_2.pth.")
    return found


def is_run(state: dict[str, Any]) -> bool:
    """Return whether a checkpoint is a run's, with a config and a strategy's state."""
    return "strategy" in state and "config" in state


def read_state(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint, or of a shared model, which has no state of training.

    Raises:
        CheckpointError: See `load_checkpoint` and `read_shared`.
    """
    return read_shared(path) if path.name == WEIGHTS else load_checkpoint(path)


def load_run(path: Path) -> dict[str, Any]:
    """Return a run's whole checkpoint; see `load_checkpoint` and `as_run`.

    Raises:
        CheckpointError: It is a shared model, or not a run's.
    """
    if path.name == WEIGHTS:
        raise CheckpointError(
            f"{path}: a shared model predicts alone; it has no state of training or record of its "
            f"data. Evaluate the {path.with_name('model.onnx')} beside it, or train from its "
            f"weights: load_from={path}."
        )
    return as_run(load_checkpoint(path), path)


def as_run(state: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a checkpoint's content, if it is a run's.

    Raises:
        CheckpointError: It holds something else.
    """
    if "pretraining" in state:
        raise CheckpointError(
            f"{path}: of a pretraining, which has learnt no scores to evaluate. cliqa predict "
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
    """Return the model of a run's checkpoint, in evaluation mode on the CPU."""
    return _models_of(state)[0]


def deployed_of(state: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """Return a run's model, and the network that predicts: with a gate, all its views."""
    model, plugins = _models_of(state)
    states = {key.partition(".")[2]: value for key, value in state["strategy"]["plugins"].items()}
    network = model
    for plugin in plugins:
        if hasattr(plugin, "deployed") and type(plugin).__name__ in states:
            plugin.load_state_dict(states[type(plugin).__name__])
            found = plugin.deployed(model)
            network = network if found is model else found
    return model, network


def predicting_part(state: dict[str, Any]) -> dict[str, Any]:
    """Return what `deployed_of` needs of a run's checkpoint: no optimizer, memory or teacher.

    A method's state is kept where the network that predicts is more than the model, without the
    parts that it names as `only_in_training`.
    """
    model, plugins = _models_of(state)
    by_name = {type(one).__name__: one for one in plugins if hasattr(one, "deployed")}
    kept = {}
    for key, own in state["strategy"]["plugins"].items():
        plugin = by_name.get(key.partition(".")[2])
        if plugin is None:
            continue
        new = plugin.state_dict()
        plugin.load_state_dict(own)
        if plugin.deployed(model) is not model:
            away = {name.lstrip("_") for name in getattr(plugin, "only_in_training", ())}
            kept[key] = {name: new[name] if name in away else own[name] for name in own}
    strategy = {
        **{key: state["strategy"].get(key) for key in ("model", "pruning")},
        "plugins": kept,
    }
    return {**{key: state[key] for key in ENTRIES if key in state}, "strategy": strategy}


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
    """Return the model of a run (its work_dir, or a checkpoint) as a teacher of `Distillation`."""
    found = find_checkpoint(path)
    return model_of(as_run(read_state(found), found))


def is_best(
    epochs: Sequence[Mapping[str, Any]], measure: str, next_step: int, keeps_best: bool
) -> bool:
    """Return whether the last epoch's state is the best of its experience.

    Args:
        epochs: The rows of all epochs so far.
        measure: Their key that is compared; epochs without a value do not count.
        next_step: The step that comes next: behind the last row's, its experience has ended.
        keeps_best: The weights at an experience's end are always those of its best epoch.

    >>> rows = [{"experience": 0, "val_srcc": 0.5}, {"experience": 0, "val_srcc": 0.4}]
    >>> is_best(rows[:1], "val_srcc", 0, False), is_best(rows, "val_srcc", 0, False)
    (True, False)
    """
    rows = [row for row in epochs if row["experience"] == epochs[-1]["experience"]]
    values = [row.get(measure) for row in rows]
    known = [value for value in values if value is not None]
    if not known:
        return False
    ended = next_step > rows[-1]["experience"]
    return (ended and keeps_best) or values.index(max(known)) == len(rows) - 1
