"""Forms of a graph that are fast in integers, and the parts of it that may be faster in float.

ONNX Runtime has integer kernels for few operators. Between the others it converts every map to
float and back, which costs small networks more than integers save.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cliqa.deploy.libraries import library
from cliqa.utils.errors import ConfigError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

PARTS = ("stem", "depthwise", "squeeze-excite")
"""Parts that can stay in float: all before the third convolution; the depthwise convolutions; what
weighs the channels by their means."""

STEM = 2
"""Convolutions of the stem: their maps are large, and their products few."""

TOP = 255
"""The largest value of eight bits."""


def pool_in_one_node(model: ModelProto) -> int:
    """Put ``GlobalAveragePool`` in place of means over height and width, in place.

    They give the same values; of the two, only it has an integer kernel.

    Returns:
        How many nodes were changed.
    """
    constants = dict(_constants(model))
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*model.graph.value_info, *model.graph.input)
    }
    changed = 0
    for node in model.graph.node:
        if node.op_type != "ReduceMean" or ranks.get(node.input[0]) != 4:
            continue
        given = {item.name: item for item in node.attribute}
        axes = constants.get(node.input[1]) if len(node.input) > 1 else None
        if axes is None and "axes" in given:
            axes = list(given["axes"].ints)
        keeps = given["keepdims"].i if "keepdims" in given else 1
        if axes is not None and keeps and sorted(int(axis) % 4 for axis in axes) == [2, 3]:
            node.op_type = "GlobalAveragePool"
            del node.input[1:], node.attribute[:]
            changed += 1
    if changed:  # the axes are read by nobody now, and ONNX Runtime would warn of them
        library("onnxruntime.quantization.onnx_model").ONNXModel(model).clean_initializers()
    return changed


def saturate_hard_sigmoids(model: ModelProto) -> int:
    """Put sums that saturate in place of hard sigmoids between 8-bit integers, in place.

    clip(a x + b, 0, 1) is a x + b, rounded to integers that represent 0 to 1: those end there. The
    sum has an integer kernel; of a hard sigmoid all values are converted to float and back.

    Args:
        model: A graph with ``QuantizeLinear`` and ``DequantizeLinear``, of ``uint8`` activations.

    Returns:
        How many nodes were changed.
    """
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    constants = dict(_constants(model))
    changed = 0
    for node in [node for node in model.graph.node if node.op_type == "HardSigmoid"]:
        before, after = makers.get(node.input[0]), readers.get(node.output[0], [])
        kinds = [one.op_type for one in (before, *after) if one is not None]
        if kinds != ["DequantizeLinear", "QuantizeLinear"] or before is None:
            continue
        slope, offset = _line(node)
        if slope > 0 and offset > 0:
            scale = float(constants[before.input[1]]) * slope
            _put_sum(model, node, before.input[0], before.input[2], scale, offset)
            rounding = after[0]
            for other in (rounding, *readers.get(rounding.output[0], [])):
                other.input[1], other.input[2] = f"{node.name}_unit", f"{node.name}_zero"
            changed += 1
    return changed


def nodes_of_parts(model: ModelProto, parts: Sequence[str]) -> list[str]:
    """Return the names of the nodes of some parts of a graph.

    Args:
        model: A prepared graph.
        parts: Names among `PARTS`.

    Raises:
        ConfigError: There is no such part, or the graph has none.
    """
    found: list[str] = []
    for part in parts:
        if part not in PARTS:
            raise ConfigError(f"in float: must be among {', '.join(PARTS)}, got {part!r}.")
        finders = {"stem": _stem, "depthwise": _depthwise, "squeeze-excite": _squeeze_excite}
        nodes = finders[part](model)
        if not nodes:
            raise ConfigError(f"in float: the network has no {part} part. Leave it out.")
        found += [name for name in nodes if name not in found]
    return found


def groups_of(node: NodeProto) -> int:
    """Return the groups of a convolution."""
    return next((item.i for item in node.attribute if item.name == "group"), 1)


def _constants(model: ModelProto) -> Iterator[tuple[str, Any]]:
    """Yield the constants of a graph by name, as arrays."""
    array = library("onnx").numpy_helper.to_array
    for tensor in model.graph.initializer:
        yield tensor.name, array(tensor)
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            yield node.output[0], array(node.attribute[0].t)


def _line(node: NodeProto) -> tuple[float, float]:
    """Return slope and offset of a hard sigmoid; ONNX's own where they are not given."""
    given = {item.name: item.f for item in node.attribute}
    return given.get("alpha", 0.2), given.get("beta", 0.5)


def _put_sum(
    model: ModelProto, node: NodeProto, values: str, zero: str, scale: float, offset: float
) -> None:
    """Replace a hard sigmoid by the sum of the integers `values`, read at `scale`, and `offset`."""
    onnx = library("onnx")
    name, kind = node.name, onnx.TensorProto
    numbers = {
        f"{name}_slope": (kind.FLOAT, scale),
        f"{name}_offset": (kind.FLOAT, offset / TOP),
        f"{name}_unit": (kind.FLOAT, 1 / TOP),
        f"{name}_top": (kind.UINT8, TOP),
        f"{name}_zero": (kind.UINT8, 0),
    }
    model.graph.initializer.extend(
        onnx.helper.make_tensor(key, type_, (), [value]) for key, (type_, value) in numbers.items()
    )
    whole = {
        f"{name}_scaled": (values, f"{name}_slope", zero),
        f"{name}_added": (f"{name}_top", f"{name}_offset", f"{name}_zero"),
    }
    nodes = [
        onnx.helper.make_node("DequantizeLinear", sources, [out], name=out)
        for out, sources in whole.items()
    ]
    nodes.append(onnx.helper.make_node("Add", list(whole), list(node.output), name=f"{name}_sum"))
    place = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    for step, new in enumerate(nodes):
        model.graph.node.insert(place + step, new)


def _stem(model: ModelProto) -> list[str]:
    """Return all nodes before the third convolution."""
    places = [place for place, node in enumerate(model.graph.node) if node.op_type == "Conv"]
    before = list(model.graph.node)[: places[STEM]] if len(places) > STEM else []
    return [node.name for node in before]


def _depthwise(model: ModelProto) -> list[str]:
    """Return the convolutions in groups."""
    return [n.name for n in model.graph.node if n.op_type == "Conv" and groups_of(n) > 1]


def _squeeze_excite(model: ModelProto) -> list[str]:
    """Return the nodes from a map's means up to the weights that it is multiplied by."""
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: list[str] = []
    for pool in (node for node in model.graph.node if node.op_type == "GlobalAveragePool"):
        names, todo, weighs = [pool.name], list(pool.output), False
        while todo:
            for node in readers.get(todo.pop(), []):
                if node.op_type == "Mul" and pool.input[0] in node.input:
                    weighs = True
                elif node.name not in names:
                    names.append(node.name)
                    todo.extend(node.output)
        found += names if weighs else []  # a head's pooling weighs nothing
    return found
