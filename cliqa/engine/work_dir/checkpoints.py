"""Finding a run's checkpoint and reading a model out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from cliqa.config.trust import built_from, without_weights
from cliqa.engine.plugins import build_plugins, prepare_model
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.saved_config import admit_config, check_form, load_own_weights
from cliqa.models.build import build_model
from cliqa.models.pruned import apply_pruning, pruning_in
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import CheckpointError

EXPORTED = (".onnx", ".xml", ".bin")
"""Endings of files that ``cliqa compress`` writes."""


def find_checkpoint(path: str | Path) -> Path:
    """Return the path of a checkpoint; of a work_dir, that of its last one.

    Raises:
        CheckpointError: There is none.
    """
    path = Path(path)
    if path.suffix in EXPORTED and path.is_file():
        raise CheckpointError(
            f"{path}: an exported model, which holds no checkpoint. Give the run's work_dir or one "
            "of its checkpoints; cliqa test takes an exported model as --exported."
        )
    found = WorkDir(path).last if path.is_dir() else path
    if not found.is_file():
        what = "work_dir without a checkpoint" if path.is_dir() else "no such checkpoint"
        raise CheckpointError(f"{path}: {what}. Train first, or give a file: exp_2.pth.")
    return found


def is_run(state: dict[str, Any]) -> bool:
    """Return whether a checkpoint is a run's, with a config and a strategy's state."""
    return "strategy" in state and "config" in state


def load_run(path: Path) -> dict[str, Any]:
    """Return a run's checkpoint; see `load_checkpoint` and `as_run`."""
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
    return model_of(load_run(find_checkpoint(path)))


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
