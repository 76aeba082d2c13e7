"""OpenVINO files in int8."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from cliqa.deploy.conversion import ConversionReport
from cliqa.deploy.fidelity import compare_models
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.graph import get_metadata, graph_input, load_graph
from cliqa.deploy.onnx.integers.calibration import CalibrationImages
from cliqa.deploy.onnx.score_head import LAYERS, GraphNode
from cliqa.deploy.onnx.session import first_line
from cliqa.deploy.openvino.backend import (
    HINTS,
    check_name,
    openvino_forward,
    openvino_head,
    openvino_nodes,
    read_openvino,
    write_openvino,
)
from cliqa.deploy.openvino.signal_stack import kept_signal_stack
from cliqa.utils.errors import CliqaError, ConfigError, ModelError

if TYPE_CHECKING:
    from openvino import Model

ASYMMETRIC = ("Swish", "HSwish", "Gelu", "Sigmoid", "HSigmoid", "Elu", "PReLU", "Mish", "Tanh")
"""Activations with values below zero, or that saturate: their ranges are not symmetric."""

DEPTHWISE = "GroupConvolution"
"""OpenVINO's operator of convolutions in groups."""


def quantize_openvino(
    source: str | Path,
    target: str | Path,
    batches: Iterable[Tensor],
    precision: str = "int8",
) -> ConversionReport:
    """Write an ONNX file as OpenVINO's in int8, by NNCF; the score head stays in float.

    The ranges are the smallest and the largest values seen. NNCF's own choice cuts outliers off,
    which bends the scale of scores; a head in integers ruins it. Activations with values below
    zero, and transformers, get one-sided ranges.

    Args:
        source: An ONNX file in float32.
        target: The ``.xml`` file to write.
        batches: Preprocessed images (B, C, H, W), some 16 to 128, in memory all at once.
        precision: ``"int8"``; or ``"int8-bf16"``: depthwise convolutions, which integers make
            slower, stay in float, and `OpenVinoModel` computes what is not in integers in bfloat16.

    Raises:
        ArtifactError: `source` cannot be read.
        ConfigError: `precision` is another, the name of `target` is wrong, or a library is missing.
        DatasetError: The images are none, or not what the model is used on.
        ModelError: The model cannot be quantized.
    """
    check_name(target)
    if precision not in ("int8", "int8-bf16"):
        raise ConfigError(f"precision must be 'int8' or 'int8-bf16', got {precision!r}.")
    graph = load_graph(source)
    metadata = get_metadata(graph, source)
    _, shape = graph_input(graph, source)
    images = list(CalibrationImages(batches, shape, "reading"))
    model = read_openvino(source)
    nodes, head = openvino_nodes(model), openvino_head(model)
    transformer = looks_like_transformer(nodes, head)
    kinds = {node.kind for name, node in nodes.items() if name not in head}
    preset = "mixed" if transformer or kinds & set(ASYMMETRIC) else "performance"
    apart = (
        [] if precision == "int8" else [n for n, node in nodes.items() if node.kind == DEPTHWISE]
    )
    singles = [one for batch in images for one in batch.split(shape[0] or 1)]
    try:
        small = _quantized(model, singles, [*head, *apart], transformer, preset)
    except Exception as error:  # NNCF's own have no common base
        if isinstance(error, CliqaError):
            raise
        raise ModelError(
            f"{source}: NNCF cannot quantize it: {first_line(error)}. Use "
            "onnxruntime instead (--backend onnxruntime)."
        ) from error
    computed = openvino_forward(small, hint=HINTS[precision], from_file=False)
    fidelity = compare_models(openvino_forward(read_openvino(source)), computed, images)
    size = write_openvino(small, Path(target), metadata, precision)
    return ConversionReport(
        target=Path(target),
        precision=precision,
        bytes_before=Path(source).stat().st_size,
        bytes_after=size,
        fidelity=fidelity,
        images=sum(len(batch) for batch in images),
        kept=dict.fromkeys(apart, "depthwise")
        | {name: "score head" for name in head if nodes[name].kind in LAYERS},
    )


def looks_like_transformer(nodes: Mapping[str, GraphNode], head: Collection[str]) -> bool:
    """Return whether a graph has attention before its head: a softmax, and computed factors."""
    body = [node for name, node in nodes.items() if name not in head]
    products = any(node.kind in LAYERS and not node.weighted for node in body)
    return products and any(node.kind == "Softmax" for node in body)


def _quantized(
    model: Model,
    images: Sequence[Tensor],
    in_float: Sequence[str],
    transformer: bool,
    preset: str,
) -> Model:
    """Return a model with rounding nodes."""
    # what NNCF imports tells a machine without CUDA that it has none
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    nncf = library("nncf", "openvino")
    ranges = library("nncf.quantization.range_estimator", "openvino").RangeEstimatorParametersSet
    # not its own set_log_level, which changes handlers, and those may be of others
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), kept_signal_stack():  # its bars
        return nncf.quantize(
            model,
            nncf.Dataset([one.numpy() for one in images]),
            preset=nncf.QuantizationPreset(preset),
            subset_size=len(images),
            model_type=nncf.ModelType.TRANSFORMER if transformer else None,
            ignored_scope=nncf.IgnoredScope(names=list(in_float), validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                activations_range_estimator_params=ranges.MINMAX
            ),
        )
