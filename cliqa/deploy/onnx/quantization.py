"""ONNX files with weights and activations in eight bits.

Rounding with a scale per output channel of a weight and one per activation tensor; Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference",
CVPR 2018.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.graph import METADATA, first_line, save_graph, set_metadata, sort_nodes
from cliqa.deploy.onnx.prepared_graph import PreparedGraph, prepared
from cliqa.deploy.onnx.score_head import LAYERS
from cliqa.utils.errors import ConfigError, ModelError

ACTIVATIONS = {"uint8": "QUInt8", "uint16": "QUInt16"}
"""Types of activations: onnxruntime's names by ours. Signed ones are slow on x86."""

PRECISIONS = {"uint8": "int8", "uint16": "a16w8"}
"""What a file says that it is, by the type of its activations."""


NORMS = ("InstanceNormalization", "LayerNormalization")
"""Kinds of nodes that stay in float: onnxruntime has no integers for them, and fails where layers
share their constants, as those of group normalisation do."""


@dataclass(frozen=True)
class QuantizationReport:
    """What became of a file.

    Attributes:
        source: The file in float32.
        target: The file written.
        bytes_before: Bytes of the one.
        bytes_after: Bytes of the other.
        layers: Layers that multiply by weights.
        quantized_layers: How many of them do so in integers.
        quantized_nodes: All nodes whose inputs are rounded.
        kept: Layers left in float, with the reason.
        images: Images of the calibration.
        activations: ``"uint8"`` or ``"uint16"``.
        method: How ranges were found.
    """

    source: str
    target: str
    bytes_before: int
    bytes_after: int
    layers: int
    quantized_layers: int
    quantized_nodes: int
    kept: dict[str, str]
    images: int
    activations: str
    method: str

    @property
    def ratio(self) -> float:
        """How many times smaller the file has become."""
        return self.bytes_before / self.bytes_after

    def __str__(self) -> str:
        """Return a sentence or two."""
        reasons = sorted(set(self.kept.values()))
        kept = ", ".join(f"{list(self.kept.values()).count(r)} ({r})" for r in reasons) or "none"
        return (
            f"{self.bytes_before / 1e6:.2f} -> {self.bytes_after / 1e6:.2f} MB "
            f"({self.ratio:.2f} times smaller), {self.quantized_layers} of {self.layers} layers in "
            f"8 bits with {self.activations} activations, {self.images} calibration images. "
            f"Layers left in float: {kept}."
        )


def quantize_int8(
    source: str | Path,
    target: str | Path,
    batches: Iterable[Tensor],
    *,
    exclude: Sequence[str] = (),
    activations: str = "uint8",
    method: str = "minmax",
    keep_head: bool = True,
    reduce_range: bool = False,
) -> QuantizationReport:
    """Write an ONNX file with int8 weights and integer activations.

    Args:
        source: An ONNX file in float32.
        target: The file to write.
        batches: Preprocessed images (B, C, H, W), some 16 to 128 in all. One batch is in memory at
            a time.
        exclude: Nodes to leave in float, by name with ``*`` for any text, or by operator
            (``"Sigmoid"``).
        activations: ``"uint8"``; or ``"uint16"``: as small a file, nearly exact activations, but
            computed in float, without a gain in time.
        method: ``"minmax"``, ``"entropy"`` or ``"percentile"``; see `tensor_ranges`.
        keep_head: Leave the score head in float. In eight bits a head can only give 256 different
            scores.
        reduce_range: Weights in seven bits: against overflow on x86 processors without VNNI.

    Returns:
        What was done.

    Raises:
        ArtifactError: `source` cannot be read.
        ConfigError: An argument is out of range, or a library is missing.
        DatasetError: The images are none, or not what the model is used on.
        ModelError: The model cannot be quantized.
    """
    _check_activations(activations)
    with prepared(source) as graph:
        excluded = graph.matching(exclude)
        graph.calibrate(batches, method)
        return write_quantized(
            graph,
            target,
            exclude=excluded,
            activations=activations,
            keep_head=keep_head,
            reduce_range=reduce_range,
        )


def write_quantized(
    graph: PreparedGraph,
    target: str | Path,
    *,
    exclude: Sequence[str] = (),
    activations: str = "uint8",
    keep_head: bool = True,
    reduce_range: bool = False,
) -> QuantizationReport:
    """Write a calibrated graph with integers; the arguments are those of `quantize_int8`.

    Raises:
        ModelError: The graph has not been calibrated, or onnxruntime cannot quantize it.
    """
    _check_activations(activations)
    if graph.ranges is None:
        raise ModelError("the graph has no ranges. Call calibrate(batches) before writing it.")
    reasons = dict.fromkeys(exclude, "excluded")
    if keep_head:
        reasons |= dict.fromkeys(graph.head, "score head")
    before = graph.source.stat().st_size  # it may be the target too
    model = _quantized(graph, list(reasons), activations, reduce_range)
    set_metadata(model, with_precision(graph.metadata, PRECISIONS[activations]))
    save_graph(model, target)
    rounded, kept = _look(model, reasons)
    layers = [node for node in model.graph.node if node.op_type in LAYERS]
    return QuantizationReport(
        source=str(graph.source),
        target=str(target),
        bytes_before=before,
        bytes_after=Path(target).stat().st_size,
        layers=len(layers),
        quantized_layers=len(layers) - len(kept),
        quantized_nodes=rounded,
        kept=kept,
        images=graph.images,
        activations=activations,
        method=graph.method,
    )


def with_precision(metadata: Mapping[str, str], precision: str) -> dict[str, str]:
    """Return a file's metadata with another precision; a plain ONNX file has none to change.

    >>> with_precision({"cliqa": '{"format": 1}', "note": "a"}, "fp16")
    {'cliqa': '{"format": 1, "precision": "fp16"}', 'note': 'a'}
    """
    values = dict(metadata)
    if METADATA in values:
        values[METADATA] = json.dumps({**json.loads(values[METADATA]), "precision": precision})
    return values


def _quantized(graph: PreparedGraph, exclude: list[str], activations: str, reduced: bool) -> Any:  # noqa: ANN401
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
            reduced,
            quantization.QuantType.QInt8,
            quantization.QuantType[ACTIVATIONS[activations]],
            graph.ranges,
            [],
            exclude,
            kinds,
            {"UseQDQContribOps": wide},  # the standard has 16 bits from opset 21 on
        )
        quantizer.quantize_model()
        sort_nodes(quantizer.model.model)
    except Exception as error:  # onnxruntime's own have no common base
        raise ModelError(
            f"{graph.source}: onnxruntime cannot quantize it ({first_line(error)}). Leave the node "
            "that it names in float: exclude=['its name']."
        ) from error
    finally:
        logging.getLogger().disabled = before
    return quantizer.model.model


def _look(model: Any, reasons: Mapping[str, str]) -> tuple[int, dict[str, str]]:  # noqa: ANN401
    """Return how many nodes get rounded inputs, and why layers do not."""
    origin = {name: node.op_type for node in model.graph.node for name in node.output}
    rounded, kept = 0, {}
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        kinds = [origin.get(name) for name in node.input]
        is_layer = node.op_type in LAYERS
        done = (all if is_layer else any)(kind == "DequantizeLinear" for kind in kinds[:2])
        if done and node.name not in reasons:
            rounded += 1
        elif is_layer:
            kept[node.name] = reasons.get(node.name, "onnxruntime leaves it")
    return rounded, kept


def _check_activations(activations: str) -> None:
    """Refuse unknown types."""
    if activations not in ACTIVATIONS:
        raise ConfigError(f"activations must be 'uint8' or 'uint16', got {activations!r}.")
