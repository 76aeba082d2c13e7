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
from cliqa.deploy.onnx.calibration import CalibrationImages
from cliqa.deploy.onnx.file import first_line
from cliqa.deploy.onnx.graph import (
    get_metadata,
    graph_input,
    load_graph,
    onnx_forward,
    save_graph,
    set_metadata,
    sort_nodes,
)
from cliqa.deploy.onnx.quantization import with_precision
from cliqa.utils.errors import ModelError

SIZE = 64
"""Height and width of the images of a parity check where the model takes any."""


def to_float16(
    source: str | Path,
    target: str | Path,
    batches: Sequence[Tensor] | None = None,
    *,
    keep: Sequence[str] = (),
    tolerance: float = 0.05,
) -> ConversionReport:
    """Write an ONNX file with float16 weights; images and scores stay in float32.

    Args:
        source: An ONNX file in float32.
        target: The file to write.
        batches: Preprocessed images (B, C, H, W) to compare both on; None for random ones.
        keep: Operators to leave in float32, beside those that onnxruntime has no float16 for.
        tolerance: Largest difference allowed, over the standard deviation of the outputs, or over
            the largest output where that is greater.

    Returns:
        The report.

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
    given = batches if batches is not None else [_random_images(shape)]
    images = list(CalibrationImages(given, shape, "reading"))
    converter = library("onnxruntime.transformers.float16")
    blocked = sorted({*converter.DEFAULT_OP_BLOCK_LIST, *keep})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that become the least one above zero
            half = converter.convert_float_to_float16(
                model, keep_io_types=True, op_block_list=blocked
            )
        sort_nodes(half)
    except Exception as error:  # the converter's own have no common base
        raise ModelError(f"{source} cannot be put into float16: {first_line(error)}.") from error
    set_metadata(half, with_precision(metadata, "fp16"))
    before = Path(source).stat().st_size
    content = half.SerializeToString()
    expected = outputs_of(onnx_forward(source), images)
    fidelity = compare_outputs(expected, outputs_of(onnx_forward(content), images))
    _check(fidelity, expected, source, tolerance)
    save_graph(half, target)
    size = Path(target).stat().st_size
    return ConversionReport(Path(target), "fp16", before, size, fidelity)


def autocast_forward(
    model: nn.Module, dtype: torch.dtype = torch.bfloat16
) -> Callable[[Tensor], Tensor]:
    """Return a PyTorch model as a function that computes in half precision, with float32 outputs.

    Args:
        model: A model in evaluation mode.
        dtype: The type to compute in.
    """
    device = next(model.parameters()).device.type

    def forward(images: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(device, dtype):
            outputs: Tensor = model(images)
        return outputs.float()

    return forward


def _random_images(shape: Sequence[int | None]) -> Tensor:
    """Return images of a shape, always the same ones."""
    count, channels, height, width = shape
    random = torch.Generator().manual_seed(0)
    size = (count or 4, channels or 3, height or SIZE, width or SIZE)
    return torch.randn(size, generator=random)


def _check(fidelity: Fidelity, outputs: Tensor, source: str | Path, tolerance: float) -> None:
    """Refuse a file that is not true enough to these outputs."""
    scale = max(float(outputs.std(unbiased=False)), float(outputs.abs().max()))
    if fidelity.largest > tolerance * scale:
        raise ModelError(
            f"{source}: float16 changes outputs of up to {scale:.3g} by up to "
            f"{fidelity.largest:.3g}. Name operators to keep in float32, e.g. keep=['Softmax'], or "
            "use int8 or bfloat16."
        )
