"""Preprocessing as nodes of an ONNX graph: from 8-bit pixels of any size to a network's images.

Legend: N images, K crops of each, C channels, H x W pixels.

Nodes compute with levels 0..255 as long as the pipeline does. The resampling is that of PyTorch for
8-bit images, with its weights of 16 bits and its rounding after each axis: Pillow's differs from it
by one level here and there, and ONNX's own ``Resize`` by ten levels at some borders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cliqa.deploy.libraries import library

if TYPE_CHECKING:
    from onnx import NodeProto

MOST_BITS = 22
"""PyTorch's most bits after the point of a weight; a weight takes 16 in all."""

TILES = {"uint8": 2, "float32": 1, "int64": 7, "float64": 11}
"""ONNX's numbers of types."""


@dataclass(frozen=True)
class Shown:
    """Images at one place of the graph.

    Attributes:
        value: The tensor (N * K, C, H, W), float32.
        channels: C.
        crops: K.
        levels: Its values are levels 0..255, not 0..1.
    """

    value: str
    channels: int = 3
    crops: int = 1
    levels: bool = True


class GraphBuilder:
    """Nodes that are added one after the other, and the constants that they use.

    Attributes:
        nodes: Of the graph, or of the branch that is being built.
        constants: By name.
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self._count = 0

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        """Add a node; return the name of its output."""
        name = self._name(kind)
        make = library("onnx").helper.make_node
        self.nodes.append(make(kind, inputs, [name], name=f"{name}_node", **attributes))
        return name

    def constant(self, value: object, kind: str) -> str:
        """Add a constant of a numpy type; return its name."""
        name = self._name("constant")
        self.constants[name] = np.asarray(value, dtype=kind)
        return name

    def whole(self, *values: int) -> str:
        """Add a list of whole numbers."""
        return self.constant(values, "int64")

    def real(self, value: float) -> str:
        """Add a list of one double."""
        return self.constant([value], "float64")

    def cast(self, value: str, kind: str) -> str:
        """Convert a tensor to a numpy type."""
        return self.op("Cast", value, to=TILES[kind])

    def length(self, value: str, axis: int) -> str:
        """Return the length of an axis as a list of one double."""
        return self.cast(self.op("Shape", value, start=axis, end=axis + 1), "float64")

    def unless(self, condition: str, value: str, make: Callable[[], str]) -> str:
        """Return a tensor as it is where a condition holds, else what `make` adds nodes for."""
        branches = {}
        for branch, body in (
            ("then_branch", lambda: self.op("Identity", value)),
            ("else_branch", make),
        ):
            with self._inside() as nodes:
                output = body()
            helper = library("onnx").helper
            out = helper.make_tensor_value_info(output, TILES["float32"], [None] * 4)
            branches[branch] = helper.make_graph(nodes, f"{output}_graph", [], [out])
        return self.op("If", condition, **branches)

    @contextmanager
    def _inside(self) -> Iterator[list[NodeProto]]:
        """Collect the nodes of a branch."""
        outside, self.nodes = self.nodes, []
        try:
            yield self.nodes
        finally:
            self.nodes = outside

    def _name(self, kind: str) -> str:
        """Return a new name."""
        self._count += 1
        return f"pixels/{kind}_{self._count}"


def resize(graph: GraphBuilder, shown: Shown, height: str, width: str) -> Shown:
    """Resample images to a new size, lists of one double: along the width, then the height."""
    value = shown.value
    for axis, length in ((3, width), (2, height)):
        value = _along(graph, value, axis, length, shown.levels)
    return replace(shown, value=value)


def _along(graph: GraphBuilder, value: str, axis: int, length: str, levels: bool) -> str:
    """Resample a tensor along one axis, if its length changes."""
    old = graph.length(value, axis)

    def resampled() -> str:
        weights = _weights(graph, old, length, levels)  # (new, old)
        if axis == 2:
            found = graph.op("MatMul", weights, value)
        else:
            found = graph.op("MatMul", value, graph.op("Transpose", weights, perm=[1, 0]))
        return _rounded(graph, found) if levels else found

    same = graph.op("Squeeze", graph.op("Equal", old, length))
    return graph.unless(same, value, resampled)


def _weights(graph: GraphBuilder, old: str, new: str, levels: bool) -> str:
    """Return the weights (new, old) of a triangle as wide as a new pixel, float32; rows sum to 1.

    For levels they are rounded to the bits that the largest weight leaves of 16.
    """
    one, half = graph.real(1), graph.real(0.5)
    scale = graph.op("Div", old, new)
    centers = graph.op("Mul", graph.op("Add", _range(graph, new), half), scale)
    pixels = graph.op("Add", _range(graph, old), half)
    away = graph.op("Sub", pixels, graph.op("Unsqueeze", centers, graph.whole(1)))
    share = graph.op("Div", graph.op("Abs", away), graph.op("Max", scale, one))
    triangle = graph.op("Max", graph.op("Sub", one, share), graph.real(0))
    found = graph.op("Div", triangle, graph.op("ReduceSum", triangle, graph.whole(1)))
    if levels:
        largest = graph.op("ReduceMax", found, keepdims=0)
        room = graph.op("Log", graph.op("Div", graph.real(2**15 - 0.5), largest))
        bits = graph.op("Ceil", graph.op("Div", room, graph.real(float(np.log(2)))))
        bits = graph.op("Min", graph.op("Sub", bits, one), graph.real(MOST_BITS))
        unit = graph.op("Pow", graph.real(2), bits)
        steps = graph.op("Floor", graph.op("Add", graph.op("Mul", found, unit), half))
        found = graph.op("Div", steps, unit)
    return graph.cast(found, "float32")


def _range(graph: GraphBuilder, length: str) -> str:
    """Return 0, 1, 2 ... below a list of one double."""
    zero, one = (graph.constant(value, "float64") for value in (0, 1))
    return graph.op("Range", zero, graph.op("Squeeze", length), one)


def _rounded(graph: GraphBuilder, value: str) -> str:
    """Return levels rounded to whole ones, halves upwards, in 0..255."""
    half, low, high = (graph.constant(number, "float32") for number in (0.5, 0, 255))
    return graph.op("Clip", graph.op("Floor", graph.op("Add", value, half)), low, high)


def crops_at(
    graph: GraphBuilder, shown: Shown, size: tuple[int, int], corners: Sequence[tuple[str, str]]
) -> Shown:
    """Cut crops of one size out of every image.

    A graph fails on an image that is smaller than the crop.

    Args:
        graph: The graph.
        shown: The images.
        size: Height and width of a crop.
        corners: Top and left of each, lists of one double.
    """
    cut = [_cut(graph, shown, size, corner) for corner in corners]
    if len(cut) == 1:
        return replace(shown, value=cut[0])
    return stacked(graph, shown, cut, size)


def stacked(graph: GraphBuilder, shown: Shown, cut: Sequence[str], size: tuple[int, int]) -> Shown:
    """Return crops (N, C, h, w) as (N * K, C, h, w), the crops of an image one after the other."""
    axis = graph.whole(1)
    joined = graph.op("Concat", *(graph.op("Unsqueeze", one, axis) for one in cut), axis=1)
    flat = graph.op("Reshape", joined, graph.whole(-1, shown.channels, *size))
    return replace(shown, value=flat, crops=shown.crops * len(cut))


def _cut(graph: GraphBuilder, shown: Shown, size: tuple[int, int], corner: tuple[str, str]) -> str:
    """Return one crop of every image."""
    start = graph.cast(graph.op("Concat", *corner, axis=0), "int64")
    end = graph.op("Add", start, graph.whole(*size))
    piece = graph.op("Slice", shown.value, start, end, graph.whole(2, 3))
    return graph.op("Reshape", piece, graph.whole(0, shown.channels, *size))


def finished(graph: GraphBuilder, shown: Shown) -> Shown:
    """Return images with values 0..1."""
    if not shown.levels:
        return shown
    value = graph.op("Div", shown.value, graph.constant(255, "float32"))
    return replace(shown, value=value, levels=False)


def per_channel(graph: GraphBuilder, kind: str, value: str, numbers: Any) -> str:  # noqa: ANN401
    """Apply an operator with a number of its own for each channel, or one for all."""
    return graph.op(kind, value, graph.constant(np.reshape(numbers, (1, -1, 1, 1)), "float32"))
