"""The backends that compute exported files: opening their files, and converting to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from cliqa.deploy.conversion import ConversionReport
from cliqa.deploy.onnx.file import OnnxModel
from cliqa.deploy.onnx.half import to_float16
from cliqa.deploy.onnx.integers.mixed_precision import quantize_mixed_precision
from cliqa.deploy.openvino.backend import OpenVinoModel, to_openvino
from cliqa.deploy.openvino.quantization import quantize_openvino

SUFFIXES = {"onnxruntime": ".onnx", "openvino": ".xml"}
"""The backends, with the suffix of their files."""


def backend_of(path: str | Path) -> str | None:
    """Return the backend of an exported file by its name; None for another kind of file.

    >>> backend_of("work_dirs/demo/model.onnx"), backend_of("work_dirs/demo")
    ('onnxruntime', None)
    """
    suffix = Path(path).suffix
    return next((name for name, own in SUFFIXES.items() if own == suffix), None)


def open_exported(
    path: str | Path, threads: int | None = None, device: str = "cpu"
) -> OnnxModel | OpenVinoModel:
    """Return an exported file as a function from images to outputs.

    Args:
        path: An ONNX file or OpenVINO's ``.xml``, which is computed on the CPU.
        threads: Threads of the CPU; None for `compute_threads`.
        device: Of an ONNX file; see `cliqa.deploy.onnx.session.providers_of`.

    Raises:
        ArtifactError: The file is missing or damaged.
        ConfigError: The package that computes it is not installed.
    """
    if backend_of(path) == "openvino":
        return OpenVinoModel(path, threads)
    return OnnxModel(path, threads, device)


def convert(
    source: Path,
    target: Path,
    backend: str,
    precision: str,
    images: Callable[[], Sequence[Tensor]],
    in_float: Sequence[str] = (),
) -> ConversionReport:
    """Write an ONNX file in another precision, or as another backend's.

    Args:
        source: An ONNX file in float32.
        target: The file to write.
        backend: ``"onnxruntime"`` or ``"openvino"``.
        precision: ``"int8"``; ``"fp16"`` of ONNX Runtime; ``"fp32"``, ``"bf16"`` or ``"int8-bf16"``
            of OpenVINO.
        images: Called for preprocessed images (B, C, H, W), if the conversion needs any: to
            calibrate with, and to compare on.
        in_float: Parts that stay in float, of ONNX Runtime's int8: see `quantize_mixed_precision`.

    Raises:
        CliqaError: The file, the images or an argument is wrong, or a library is missing.
    """
    if backend == "openvino":
        if precision in ("int8", "int8-bf16"):
            return quantize_openvino(source, target, images(), precision)
        return to_openvino(source, target, precision)
    if precision == "fp16":
        return to_float16(source, target, images())
    return quantize_mixed_precision(source, target, images(), in_float)
