"""Which nodes of a graph are the head: the last that a model does to give its scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LAYERS = (
    *("Conv", "ConvTranspose", "Gemm", "MatMul"),
    *("Convolution", "GroupConvolution", "ConvolutionBackpropData"),
)
"""Operators that multiply by weights: ONNX's, then OpenVINO's."""

POOLING = (
    *("ReduceMean", "GlobalAveragePool", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity"),
    *("AveragePool", "AvgPool"),
)
"""Operators between the last maps and the head that have no weights, and cost next to nothing."""

DIVISIONS = ("Div", "Divide", "LpNormalization", "NormalizeL2")
"""Operators that make a vector a unit vector."""

LENGTHS = (
    *("ReduceL2", "Clip", "Clamp", "Max", "Maximum", "Minimum", "Expand", "Broadcast"),
    *("Shape", "ShapeOf", "Concat", "Slice", "Gather"),
)
"""Operators that give the length that it is divided by, in the length of the vector."""


@dataclass(frozen=True)
class GraphNode:
    """A node of a graph.

    Attributes:
        kind: Its operator.
        inputs: The nodes that its inputs come from; constants and images come from none.
        weighted: One of its factors is constant.
    """

    kind: str
    inputs: tuple[str, ...]
    weighted: bool


def score_head(nodes: Mapping[str, GraphNode], last: Iterable[str]) -> set[str]:
    """Return the nodes that make scores of features.

    These are, from the output back, all nodes up to the last layer with weights, that layer, and
    the pooling before it; where the layer takes unit vectors, as for a cosine, their projection
    too. Products of two computed factors are passed by: where weights are made for each image, the
    whole network that they make up is the head, and the layers that make them are not.

    >>> chain = {"conv": GraphNode("Conv", (), True), "relu": GraphNode("Relu", ("conv",), False)}
    >>> chain |= {"mean": GraphNode("ReduceMean", ("relu",), False)}
    >>> chain |= {"fc": GraphNode("Gemm", ("mean",), True), "out": GraphNode("Mul", ("fc",), False)}
    >>> sorted(score_head(chain, ["out"]))
    ['fc', 'mean', 'out']
    """
    last = list(last)
    found = _walk(nodes, last, "after")
    made = any(nodes[name].kind in LAYERS and not nodes[name].weighted for name in found)
    return _walk(nodes, last, "made") if made else found


def _walk(nodes: Mapping[str, GraphNode], last: Iterable[str], place: str) -> set[str]:
    """Return the nodes of the head, from the output back; see `_place_before` for `place`."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [(name, place) for name in last]
    while todo:
        step = name, place = todo.pop()
        if step in seen or name not in nodes:
            continue
        seen.add(step)
        before = _place_before(nodes[name], place)
        if before is not None:
            found.add(name)
            todo.extend((source, before) for source in nodes[name].inputs)
    return found


def _place_before(node: GraphNode, place: str) -> str | None:
    """Return where the inputs of a node lie, or None where it is no part of the head.

    Places: ``"after"`` the last layer; ``"made"``: in a network made for an image; ``"before"`` the
    last layer; ``"length"``: where vectors become unit vectors before it.
    """
    if node.kind in LAYERS:
        is_head = place == "after" or (place == "length" and node.kind in ("Gemm", "MatMul"))
        if node.weighted:
            return "before" if is_head else None
        return "made" if place in ("after", "made") else None
    if place in ("after", "made"):
        return place
    if node.kind in DIVISIONS:
        return "length"
    is_bias = node.kind in ("Add", "Multiply", "Mul") and len(node.inputs) == 1
    passes = node.kind in POOLING or (place == "length" and (node.kind in LENGTHS or is_bias))
    return place if passes else None
