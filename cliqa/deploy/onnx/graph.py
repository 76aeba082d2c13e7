"""ONNX files as graphs, and as functions."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from cliqa.deploy.file_checksum import seal_onnx
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.file import KEY, load_proto
from cliqa.deploy.onnx.score_head import LAYERS, GraphNode, score_head
from cliqa.deploy.onnx.session import damaged, open_session, run_session
from cliqa.utils.errors import ArtifactError, ModelError
from cliqa.utils.io import atomic_open

if TYPE_CHECKING:
    from onnx import ModelProto


def load_graph(path: str | Path) -> ModelProto:
    """Return an ONNX file as onnx's ``ModelProto``, checked and with all weights.

    Raises:
        ArtifactError: It does not exist, or is no ONNX file.
        ConfigError: onnx is not installed.
    """
    model = load_proto(path)
    onnx = library("onnx")
    try:
        onnx.load_external_data_for_model(model, str(Path(path).parent))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and onnx's own, by version
        raise damaged(path, error) from error
    return model


def save_graph(model: ModelProto, path: str | Path) -> None:
    """Write a ``ModelProto`` as one file with a checksum, atomically."""
    with atomic_open(path, "wb") as file:
        file.write(seal_onnx(model))


def sort_nodes(model: ModelProto) -> None:
    """Put the nodes of a ``ModelProto`` after those that they need, in place.

    onnxruntime's converters add theirs at the end, which its own sessions forgive, but not onnx.
    """
    library("onnxruntime.quantization.onnx_model").ONNXModel(model).topological_sort()


def graph_input(model: ModelProto, path: str | Path) -> tuple[str, list[int | None]]:
    """Return the name and the shape of a model's only input; None where a length is free.

    Raises:
        ModelError: It does not take one batch of images in float32.
    """
    constant = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constant]
    tensors = [value.type.tensor_type for value in inputs]
    shapes = [
        [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
        for tensor in tensors
    ]
    float32 = library("onnx").TensorProto.FLOAT
    if len(inputs) != 1 or len(shapes[0]) != 4 or tensors[0].elem_type != float32:
        names = ", ".join(f"{v.name} {s}" for v, s in zip(inputs, shapes, strict=True))
        raise ModelError(
            f"{path}: expected one input (N, C, H, W) in float32, found {names or 'none'}. Export "
            "the model with images as its only input, in float32."
        )
    return inputs[0].name, shapes[0]


def name_nodes(model: ModelProto) -> None:
    """Give nodes without a name one, in place."""
    known = {node.name for node in model.graph.node}
    for index, node in enumerate(model.graph.node):
        if not node.name:
            node.name = f"{node.op_type}_{index}"
            while node.name in known:
                node.name += "_"
            known.add(node.name)


def graph_nodes(model: ModelProto) -> dict[str, GraphNode]:
    """Return the nodes of a ``ModelProto`` by name."""
    constant = {"", *(tensor.name for tensor in model.graph.initializer)}  # "" is no input
    nodes: dict[str, GraphNode] = {}
    origin: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "Constant" or (node.input and constant.issuperset(node.input)):
            constant.update(node.output)
            continue
        origin.update(dict.fromkeys(node.output, node.name))
        computed = tuple(origin[name] for name in node.input if name in origin)
        weighted = node.op_type in LAYERS and not constant.isdisjoint(node.input[:2])
        nodes[node.name] = GraphNode(node.op_type, computed, weighted)
    return nodes


def onnx_head(model: ModelProto) -> list[str]:
    """Return the names of the nodes that are the head of a ``ModelProto``, in order."""
    outputs = {value.name for value in model.graph.output}
    last = [node.name for node in model.graph.node if outputs & set(node.output)]
    head = score_head(graph_nodes(model), last)
    return [node.name for node in model.graph.node if node.name in head]


def get_metadata(model: ModelProto, path: str | Path) -> dict[str, str]:
    """Return the properties of a ``ModelProto``, by key.

    Raises:
        ArtifactError: The description of this package is damaged.
    """
    values = {item.key: item.value for item in model.metadata_props}
    try:
        dict(json.loads(values.get(KEY, "{}")))
    except (ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{path}: its metadata is damaged ({error}). Export it again.") from (
            error
        )
    return values


def set_metadata(model: ModelProto, values: dict[str, str]) -> None:
    """Replace all properties of a ``ModelProto``."""
    del model.metadata_props[:]
    library("onnx").helper.set_model_props(model, values)


def onnx_forward(
    path: str | Path | bytes, threads: int | None = None
) -> Callable[[Tensor], Tensor]:
    """Return an ONNX file as a function from images (B, C, H, W) to its first output, in float32.

    Args:
        path: The file, of any origin, or its content.
        threads: Threads of a pass; None for PyTorch's own number.

    Raises:
        ArtifactError: onnxruntime cannot run it.
    """
    session = open_session(path, "the file" if isinstance(path, bytes) else path, threads)
    return functools.partial(run_session, session, session.get_inputs()[0].name)
