"""ONNX files with weights and activations in eight bits.

Rounding with a scale per output channel of a weight and one per activation tensor; Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference",
CVPR 2018.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from cliqa.deploy.conversion import ConversionReport
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.file import KEY
from cliqa.deploy.onnx.graph import save_graph, set_metadata, sort_nodes
from cliqa.deploy.onnx.integers.integer_forms import saturate_hard_sigmoids
from cliqa.deploy.onnx.integers.prepared_graph import PreparedGraph, prepared
from cliqa.deploy.onnx.score_head import LAYERS
from cliqa.deploy.onnx.session import first_line
from cliqa.utils.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

ACTIVATIONS = {"uint8": "QUInt8", "uint16": "QUInt16"}
"""Types of activations: onnxruntime's names by ours. Signed ones are slow on x86."""

PRECISIONS = {"uint8": "int8", "uint16": "a16w8"}
"""The precision in a file's description, by the type of its activations."""


NORMS = ("InstanceNormalization", "LayerNormalization")
"""Kinds of nodes that stay in float: onnxruntime has no integers for them, and fails where layers
share their constants, as those of group normalisation do."""


def quantize_int8(
    source: str | Path, target: str | Path, batches: Iterable[Tensor], activations: str = "uint8"
) -> ConversionReport:
    """Write an ONNX file with int8 weights and integer activations; its score head stays in float.

    In eight bits a head can only give 256 different scores.

    Args:
        source: An ONNX file in float32.
        target: The file to write.
        batches: Preprocessed images (B, C, H, W), some 16 to 128 in all. One batch is in memory at
            a time.
        activations: ``"uint8"``; or ``"uint16"``: as small a file, nearly exact activations, but
            computed in float, without a gain in time.

    Raises:
        ArtifactError: `source` cannot be read.
        ConfigError: `activations` is unknown, or a library is missing.
        DatasetError: The images are none, or not what the model is used on.
        ModelError: The model cannot be quantized.
    """
    with prepared(source) as graph:
        graph.calibrate(batches)
        return write_quantized(graph, target, activations=activations)


def write_quantized(
    graph: PreparedGraph,
    target: str | Path,
    *,
    exclude: Sequence[str] = (),
    activations: str = "uint8",
) -> ConversionReport:
    """Write a calibrated graph with integers; see `quantize_int8`.

    Args:
        graph: The graph.
        target: The file to write.
        exclude: Names of nodes to leave in float, beside the head.
        activations: ``"uint8"`` or ``"uint16"``.

    Raises:
        ConfigError: `activations` is unknown.
        ModelError: The graph has not been calibrated, or onnxruntime cannot quantize it.
    """
    if activations not in ACTIVATIONS:
        raise ConfigError(f"activations must be 'uint8' or 'uint16', got {activations!r}.")
    if graph.ranges is None:
        raise ModelError("the graph has no ranges. Call calibrate(batches) before writing it.")
    reasons = {**dict.fromkeys(exclude, "excluded"), **dict.fromkeys(graph.head, "score head")}
    before = graph.source.stat().st_size  # it may be the target too
    model = _quantized(graph, list(reasons), activations)
    set_metadata(model, with_precision(graph.metadata, PRECISIONS[activations]))
    save_graph(model, target)
    kept = _layers_in_float(model, reasons)
    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    return ConversionReport(
        target=Path(target),
        precision=PRECISIONS[activations],
        bytes_before=before,
        bytes_after=Path(target).stat().st_size,
        images=graph.images,
        activations=activations,
        layers=len(layers),
        quantized_layers=len(layers) - len(kept),
        kept=kept,
        excluded=tuple(dict.fromkeys(exclude)),
    )


def with_precision(metadata: Mapping[str, str], precision: str) -> dict[str, str]:
    """Return a file's metadata with another precision; a plain ONNX file has none to change.

    >>> with_precision({"cliqa": '{"format": 1}', "note": "a"}, "fp16")
    {'cliqa': '{"format": 1, "precision": "fp16"}', 'note': 'a'}
    """
    values = dict(metadata)
    if KEY in values:
        values[KEY] = json.dumps({**json.loads(values[KEY]), "precision": precision})
    return values


def _quantized(graph: PreparedGraph, exclude: list[str], activations: str) -> ModelProto:
    """Return the graph with rounding nodes, as a ``ModelProto``."""
    quantization = library("onnxruntime.quantization")
    registry = library("onnxruntime.quantization.registry")
    model = library("onnx").ModelProto()
    model.CopyFrom(graph.model)  # it is changed in place
    kinds = sorted({*registry.QLinearOpsRegistry, *registry.QDQRegistry} - {*NORMS})
    wide = activations != "uint8"
    logging.getLogger().disabled, before = True, logging.getLogger().disabled
    try:
        quantizer = quantization.QDQQuantizer(
            model,
            True,
            False,
            quantization.QuantType.QInt8,
            quantization.QuantType[ACTIVATIONS[activations]],
            graph.ranges,
            [],
            exclude,
            kinds,
            {"UseQDQContribOps": wide},  # the standard has 16 bits from opset 21 on
        )
        quantizer.quantize_model()
        if not wide:
            saturate_hard_sigmoids(quantizer.model.model)
        sort_nodes(quantizer.model.model)
    except Exception as error:  # onnxruntime's own have no common base
        raise ModelError(
            f"{graph.source}: onnxruntime cannot quantize it ({first_line(error)}). Use "
            "another backend (--backend openvino) or float16 (--precision fp16)."
        ) from error
    finally:
        logging.getLogger().disabled = before
    return quantizer.model.model


def _layers_in_float(model: ModelProto, reasons: Mapping[str, str]) -> dict[str, str]:
    """Return the layers whose inputs are not rounded, with the reason."""
    origin = {name: node.op_type for node in model.graph.node for name in node.output}
    kept = {}
    for node in model.graph.node:
        kinds = [origin.get(name) for name in node.input[:2]]
        rounded = all(kind == "DequantizeLinear" for kind in kinds) and node.name not in reasons
        if node.op_type in LAYERS and not rounded:
            kept[node.name] = reasons.get(node.name, "onnxruntime leaves it")
    return kept
