"""Half precision: float16 files, and PyTorch models in bfloat16.

A float16 file is half as large. On a CPU it is not faster: its kernels compute in float32.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from cliqa.deploy.conversion import ConversionReport
from cliqa.deploy.fidelity import Fidelity, compare_outputs, outputs_of
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.graph import (
    get_metadata,
    graph_input,
    load_graph,
    onnx_forward,
    save_graph,
    set_metadata,
    sort_nodes,
)
from cliqa.deploy.onnx.integers.calibration import CalibrationImages
from cliqa.deploy.onnx.integers.quantization import with_precision
from cliqa.deploy.onnx.session import first_line
from cliqa.utils.errors import ModelError

TOLERANCE = 0.05
"""Largest difference allowed, over the standard deviation of the outputs, or over the largest
output where that is greater."""


def to_float16(
    source: str | Path, target: str | Path, batches: Sequence[Tensor]
) -> ConversionReport:
    """Write an ONNX file with float16 weights; images and scores stay in float32.

    Args:
        source: An ONNX file in float32.
        target: The file to write.
        batches: Preprocessed images (B, C, H, W) to compare both on.

    Raises:
        ArtifactError: `source` cannot be read.
        ConfigError: A library is missing.
        DatasetError: The images are none, or not what the model is used on.
        ModelError: The model cannot be converted, or float16 is too coarse or too narrow for it.
    """
    model = load_graph(source)
    metadata = get_metadata(model, source)
    if any(tensor.data_type == 10 for tensor in model.graph.initializer):  # onnx's FLOAT16
        raise ModelError(f"{source} is in float16 already. Give the file in float32.")
    _, shape = graph_input(model, source)
    images = list(CalibrationImages(batches, shape, "reading"))
    converter = library("onnxruntime.transformers.float16")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that become the least one above zero
            half = converter.convert_float_to_float16(model, keep_io_types=True)
        sort_nodes(half)
    except Exception as error:  # the converter's own have no common base
        raise ModelError(f"{source} cannot be put into float16: {first_line(error)}.") from error
    set_metadata(half, with_precision(metadata, "fp16"))
    before = Path(source).stat().st_size
    content = half.SerializeToString()
    expected = outputs_of(onnx_forward(source), images)
    fidelity = compare_outputs(expected, outputs_of(onnx_forward(content), images))
    _check(fidelity, expected, source)
    save_graph(half, target)
    size = Path(target).stat().st_size
    return ConversionReport(Path(target), "fp16", before, size, fidelity)


def autocast_forward(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Return a model in evaluation mode as a function: bfloat16 inside, float32 outputs."""
    device = next(model.parameters()).device.type

    def forward(images: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(device, torch.bfloat16):
            outputs: Tensor = model(images)
        return outputs.float()

    return forward


def _check(fidelity: Fidelity, outputs: Tensor, source: str | Path) -> None:
    """Refuse a file that is not true enough to these outputs."""
    scale = max(float(outputs.std(unbiased=False)), float(outputs.abs().max()))
    if fidelity.largest > TOLERANCE * scale:
        raise ModelError(
            f"{source}: float16 changes outputs of up to {scale:.3g} by up to "
            f"{fidelity.largest:.3g}. Use int8 or bfloat16."
        )
