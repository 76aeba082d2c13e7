"""Write a model in fewer bits: ``cliqa compress quantize``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cliqa.compress.calibration_images import check_count, folder_images, training_images
from cliqa.compress.export import default_out, export_unless_present
from cliqa.config.trust import built_from
from cliqa.deploy.backends import SUFFIXES, convert
from cliqa.deploy.onnx.file import PIXELS, read_metadata
from cliqa.deploy.onnx.integers.integer_forms import PARTS
from cliqa.deploy.onnx.integers.mixed_precision import FEWEST, HELD_BACK
from cliqa.deploy.search.recipes import PRECISIONS
from cliqa.engine.work_dir.checkpoints import find_checkpoint
from cliqa.inference.exported_model import check_places, run_scenario
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file


def quantize_model(
    model: str | Path,
    out: str | Path | None = None,
    *,
    precision: str = "int8",
    backend: str = "onnxruntime",
    images: str | Path | None = None,
    count: int = 128,
    dataset_root: str | Path | None = None,
    in_float: Sequence[str] = (),
) -> list[str]:
    """Write a model in fewer bits.

    Args:
        model: A work_dir or checkpoint, which is exported first unless its export lies there, or an
            ONNX file of this package.
        out: The file to write; None for ``model_int8.onnx`` (or so) beside the exported one.
        precision: ``"int8"``, ``"fp16"``, ``"bf16"`` or ``"int8-bf16"``.
        backend: ``"onnxruntime"`` or ``"openvino"``.
        images: A folder of images to calibrate with; None for training images of the stream.
        count: How many of them.
        dataset_root: Where the stream's data lie, if not where the run read them.
        in_float: Parts that onnxruntime's int8 leaves in float: ``"stem"``, ``"depthwise"``,
            ``"squeeze-excite"``.

    Returns:
        The lines that the tool prints: the attempts and the file.

    Raises:
        CliqaError: The model, the data or an argument is wrong, or a library is missing.
    """
    _check(out, precision, backend, count)
    _check_parts(in_float, precision, backend)
    source = Path(model)
    checkpoint = None if source.suffix == ".onnx" else find_checkpoint(model)
    source = source if checkpoint is None else default_out(checkpoint)
    target = Path(out) if out else source.with_name(f"{source.stem}_{precision}{SUFFIXES[backend]}")
    check_output_file(target)
    if checkpoint is not None:
        export_unless_present(checkpoint, source)
    metadata = read_metadata(source)
    if metadata.get("input") == PIXELS:
        raise ConfigError(
            f"{source}: self-contained. Quantize the run or its plain export, then put the result "
            "into a self-contained file: cliqa compress export FILE.onnx --self-contained."
        )

    def calibration() -> list[Tensor]:
        with built_from(source):
            return _batches(metadata, source, checkpoint, images, count, dataset_root)

    return convert(source, target, backend, precision, calibration, in_float).lines()


def _check(out: str | Path | None, precision: str, backend: str, count: int) -> None:
    """Refuse what cannot be written, before anything is read.

    Raises:
        ConfigError: The backend has no such precision, or the name does not fit it.
    """
    written = [(name, kind) for name in SUFFIXES for kind in PRECISIONS[name] if kind != "fp32"]
    if (backend, precision) not in written:
        known = ", ".join(" ".join(pair) for pair in written)
        raise ConfigError(f"{backend} {precision}: cannot be written. There are {known}.")
    if out is not None and Path(out).suffix != SUFFIXES[backend]:
        raise ConfigError(f"--out {out}: files of {backend} end in {SUFFIXES[backend]}.")
    check_count(count)
    fewest = FEWEST * HELD_BACK
    if (backend, precision) == ("onnxruntime", "int8") and count < fewest:
        raise ConfigError(
            f"--count {count}: too few images to compare on, for every {HELD_BACK}th is held back. "
            f"Give {fewest} or more; some 100 are good."
        )


def _check_parts(in_float: Sequence[str], precision: str, backend: str) -> None:
    """Refuse parts to leave in float where they are not asked for, or unknown.

    Raises:
        ConfigError: With what can be given.
    """
    if in_float and (backend, precision) != ("onnxruntime", "int8"):
        raise ConfigError(
            f"--in-float is of onnxruntime int8, got {backend} {precision}. Leave it out; "
            "--backend openvino --precision int8-bf16 leaves depthwise convolutions in float."
        )
    for part in in_float:
        if part not in PARTS:
            raise ConfigError(f"--in-float {part}: must be among {', '.join(PARTS)}.")


def _batches(
    metadata: Mapping[str, Any],
    source: Path,
    checkpoint: Path | None,
    images: str | Path | None,
    count: int,
    dataset_root: str | Path | None,
) -> list[Tensor]:
    """Return the images to calibrate with."""
    if images is not None:
        return folder_images(images, metadata["eval_transform"], count)
    root = None if dataset_root is None else str(dataset_root)
    scenario = run_scenario(metadata, source, root, checkpoint)
    check_places(source, scenario, "--images FOLDER")
    return training_images(scenario, count)
