"""Export a checkpoint as an ONNX file: ``cliqa compress export``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from torch import nn

from cliqa.compress.image_size import SIZE, crops_and_size, own_size
from cliqa.config.trust import without_weights
from cliqa.deploy.description import hide_places
from cliqa.deploy.onnx.export import DynamicSize, ExportReport, export_onnx
from cliqa.deploy.onnx.file import read_metadata
from cliqa.engine.work_dir.checkpoints import find_checkpoint, read_state
from cliqa.engine.work_dir.data_record import read_record
from cliqa.inference.evaluation_model import experiences_learnt
from cliqa.inference.evaluation_request import only_scale
from cliqa.inference.image_model import CheckpointModel, ZeroShotModel, model_from_state
from cliqa.training.views.gate import GatedViews
from cliqa.utils.errors import ArtifactError, CliqaError, TrustError
from cliqa.utils.io import sha256_of
from cliqa.utils.logging import get_logger
from cliqa.utils.paths import check_output_file

logger = get_logger(__name__)

OWN_SIZES = (SIZE, (32, 32), (28, 28))
"""Tried in turn where the preprocessing leaves images their own size, after the run's own."""


def export_checkpoint(
    path: str | Path,
    out: str | Path | None = None,
    *,
    size: tuple[int, int] | None = None,
    dynamic_size: DynamicSize | None = None,
    tolerance: float | None = None,
) -> ExportReport:
    """Write the model of a checkpoint as an ONNX file that predicts and evaluates like it.

    Args:
        path: A checkpoint or a work_dir, of a run or of a pretraining.
        out: The file; None for ``model.onnx`` in the work_dir, ``model_exp_0.onnx`` for exp_0.pth.
        size: (H, W) of the images; None for what the run's preprocessing gives.
        dynamic_size: See `export_onnx`. None: images may have any size, where it can be had, if
            neither `size` nor the preprocessing brings them to one.
        tolerance: See `export_onnx`. None: `default_tolerance`.

    Raises:
        CliqaError: There is no such checkpoint, it takes no images, or it cannot be exported.
    """
    if Path(path).suffix == ".onnx":
        raise ArtifactError(f"{path}: exported already. Give a checkpoint or a work_dir.")
    checkpoint = find_checkpoint(path)
    target = default_out(checkpoint) if out is None else Path(out)
    check_output_file(target)
    state = read_state(checkpoint)
    model = model_from_state(checkpoint, state, torch.device("cpu"))
    crops, own = crops_and_size(model.eval_transform)
    if dynamic_size is None:
        dynamic_size = False if size or own else "auto"
    chosen = size or own or _size_that_fits(model)
    if crops > 1 and isinstance(model.network, GatedViews):
        logger.warning(
            "%s: images are shown in %d crops, and the exported gate weighs each by itself, not an "
            "image's together: scores differ a little from the run's own evaluation.",
            checkpoint,
            crops,
        )
    return export_onnx(
        model.network,
        target,
        channels=model.channels,
        size=chosen,
        metadata={**_about(model, state), "checkpoint_sha256": sha256_of(checkpoint)},
        dynamic_size=dynamic_size,
        tolerance=default_tolerance(model.network) if tolerance is None else tolerance,
    )


def export_unless_present(checkpoint: Path, file: Path) -> None:
    """Export a run's checkpoint, unless the file is an export of these very weights.

    One that was exported with options of its own is kept.

    Raises:
        CliqaError: As `export_checkpoint`.
    """
    try:
        if read_metadata(file).get("checkpoint_sha256") == sha256_of(checkpoint):
            return
    except (ArtifactError, TrustError):  # missing, damaged, or somebody else's
        pass
    export_checkpoint(checkpoint, file)


def default_tolerance(network: nn.Module) -> float:
    """Return how far a file may be off: more where many products amplify float32's rounding.

    Args:
        network: The network to export. Weights that are generated for each image, and Swin
            transformers, get 1e-4; others 1e-5.
    """
    kinds = {type(module).__name__ for module in network.modules()}
    return 1e-4 if any(word in kind for kind in kinds for word in ("Hyper", "Swin")) else 1e-5


def default_out(checkpoint: Path) -> Path:
    """Return where a checkpoint's model is exported to.

    >>> default_out(Path("w/demo/checkpoints/last.pth")).as_posix()
    'w/demo/model.onnx'
    >>> default_out(Path("w/demo/checkpoints/exp_0.pth")).as_posix()
    'w/demo/model_exp_0.onnx'
    """
    folder = checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else None
    newest = checkpoint.stem in ("last", "model")  # of a run, of a shared model
    name = "model" if newest else f"model_{checkpoint.stem}"
    return (folder or checkpoint.parent) / f"{name}.onnx"


def report_lines(report: ExportReport) -> list[str]:
    """Return what the tool prints about an export, a line each."""
    axes = "batch" if report.size else "batch, height, width"
    size = "any" if report.size is None else f"{report.size[0]} x {report.size[1]} (height x width)"
    lines = [
        f"written: {report.path} ({report.file_bytes:,} bytes, {report.parameters:,} parameters, "
        f"{report.seconds:.1f} s)",
        f"images: {size}; free axes: {axes}",
        *(f"parity, {case}: {off:.1e}" for case, off in report.parity.items()),
    ]
    if report.note:
        lines.append(f"one size only: {report.note}")
    lines.append(f"predict with: cliqa predict {quote(str(report.path))} IMAGES")
    return lines


def _about(model: CheckpointModel | ZeroShotModel, state: dict[str, Any]) -> dict[str, Any]:
    """Return the description that is written into the file."""
    about = {
        "names": list(model.names),
        "classes": list(model.classes),
        "eval_transform": model.eval_transform,
        "scenario": hide_places(model.scenario),
        "model": hide_places(without_weights(state["config"]["model"])),
    }
    scale = None if model.classes else only_scale(model.scenario)
    if scale is not None:
        about["scale"] = asdict(scale)  # predictions are shown on it
    if state["config"].get("custom_imports"):
        about["custom_imports"] = state["config"]["custom_imports"]
    if "pretraining" not in state:
        config = state["config"]  # its evaluations: the file is evaluated in the same way
        strategy = {key: v for key, v in config["cl_strategy"].items() if key == "eval_mb_size"}
        about |= {"experiences_learnt": experiences_learnt(state), "cl_strategy": strategy}
        about |= {"evaluation": hide_places(config.get("evaluation") or {}), "seed": config["seed"]}
        data = read_record(state.get("data"), "the checkpoint")
        about |= {"data": data.digests()} if data is not None else {}
        about |= {"absent": state["absent"]} if state.get("absent") else {}
    return about


@torch.no_grad()
def _size_that_fits(model: CheckpointModel | ZeroShotModel) -> tuple[int, int]:
    """Return the first size that a network takes: the run's own, else one of `OWN_SIZES`.

    A transformer takes any size, as its positions are interpolated, but its file takes one alone.
    """
    own = own_size(model.scenario)
    sizes = OWN_SIZES if own is None else (own, *OWN_SIZES)
    for size in sizes:
        try:
            model.network(torch.zeros(1, model.channels, *size))
        except (CliqaError, RuntimeError, ValueError, AssertionError):
            continue
        return size
    return sizes[0]
