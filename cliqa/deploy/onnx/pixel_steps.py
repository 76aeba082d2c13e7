"""The steps of a preprocessing as nodes of an ONNX graph (`cliqa.deploy.onnx.pixel_graph`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cliqa.deploy.onnx.pixel_graph import (
    GraphBuilder,
    Shown,
    crops_at,
    finished,
    per_channel,
    resize,
)
from cliqa.transforms.pixels import GREY_SHARES, GREY_WHOLE
from cliqa.utils.errors import ConfigError

Arguments = Mapping[str, Any]
Node = Callable[[GraphBuilder, Shown, Arguments], Shown]


def add_steps(
    graph: GraphBuilder, steps: Sequence[Mapping[str, Any]], pixels: str, channels: int
) -> Shown:
    """Add the nodes of a preprocessing to a graph.

    Args:
        graph: The graph.
        steps: The preprocessing, as `preprocessing_signature` gives it: all arguments are named.
        pixels: A tensor (N, H, W, 3), uint8.
        channels: Of the network's images: 3, or 1 for grey ones.

    Returns:
        The network's images.

    Raises:
        ConfigError: A step cannot be in a file: it is drawn at random, or not known here.
    """
    planes = graph.op("Transpose", graph.cast(pixels, "float32"), perm=[0, 3, 1, 2])
    shown = Shown(planes)
    if channels == 1:
        shown = Shown(_grey(graph, planes), channels=1)
    for step in steps:
        name = str(step["type"])
        if name not in STEPS:
            raise ConfigError(
                f"export --self-contained: the step '{name}' of the run's eval_transform cannot be "
                f"in the file, which knows {', '.join(STEPS)}. Export without --self-contained."
            )
        shown = STEPS[name](graph, shown, step)
    return finished(graph, shown)


def _grey(graph: GraphBuilder, planes: str) -> str:
    """Return `to_grey` of RGB levels: its whole numbers below 2^24 are exact in float32."""
    parts = per_channel(graph, "Mul", planes, GREY_SHARES)
    total = graph.op("ReduceSum", parts, graph.whole(1))
    half = graph.op("Add", total, graph.constant(GREY_WHOLE // 2, "float32"))
    return graph.op("Floor", graph.op("Div", half, graph.constant(GREY_WHOLE, "float32")))


def _edges(graph: GraphBuilder, shown: Shown) -> tuple[str, str]:
    """Return the height and the width of images, lists of one double."""
    return graph.length(shown.value, 2), graph.length(shown.value, 3)


def _to_shorter_edge(
    graph: GraphBuilder, shown: Shown, size: int, *, only_shrink: bool = False
) -> Shown:
    """Resize so that the shorter edge is `size`; the other one is rounded down."""
    height, width = _edges(graph, shown)
    shorter = graph.op("Min", height, width)
    wanted = graph.real(size)
    wanted = graph.op("Min", wanted, shorter) if only_shrink else wanted
    new = [
        graph.op("Floor", graph.op("Div", graph.op("Mul", wanted, edge), shorter))
        for edge in (height, width)
    ]
    return resize(graph, shown, *new)


def _resize(graph: GraphBuilder, shown: Shown, given: Arguments) -> Shown:
    """Torchvision's ``Resize``."""
    plain = given.get("interpolation", "bilinear") == "bilinear" and given.get("antialias", True)
    size = given.get("size")
    size = [size] if isinstance(size, int) else size
    if not plain or given.get("max_size") is not None or not size:
        raise ConfigError(
            "export --self-contained: of 'Resize' only size can be in the file, with "
            "interpolation='bilinear' and antialias=True. Export without --self-contained."
        )
    if len(size) == 1:
        return _to_shorter_edge(graph, shown, size[0])
    return resize(graph, shown, *map(graph.real, size))


def _adaptive(graph: GraphBuilder, shown: Shown, given: Arguments) -> Shown:
    """`AdaptiveResize`."""
    return _to_shorter_edge(graph, shown, given["size"], only_shrink=True)


def _hyperiqa(graph: GraphBuilder, shown: Shown, _: Arguments) -> Shown:
    """`HyperIQAResize`."""
    return resize(graph, shown, graph.real(512), graph.real(384))


def _pad(graph: GraphBuilder, shown: Shown, given: Arguments) -> Shown:
    """`ResizePad`."""
    size, edges = graph.real(given["size"]), _edges(graph, shown)
    scale = graph.op("Div", size, graph.op("Max", *edges))
    one, two = graph.real(1), graph.real(2)
    new = [graph.op("Max", one, graph.op("Round", graph.op("Mul", edge, scale))) for edge in edges]
    shown = resize(graph, shown, *new)
    space = [graph.op("Sub", size, edge) for edge in new]
    before = [graph.op("Floor", graph.op("Div", free, two)) for free in space]
    after = [graph.op("Sub", *pair) for pair in zip(space, before, strict=True)]
    zero = graph.constant([0, 0], "float64")
    pads = graph.cast(graph.op("Concat", zero, *before, zero, *after, axis=0), "int64")
    fill = round(255 * given["fill"]) if shown.levels else given["fill"]
    mode = given["padding"]
    padded = graph.op("Pad", shown.value, pads, graph.constant(fill, "float32"), mode=mode)
    fixed = graph.whole(0, shown.channels, given["size"], given["size"])
    return replace(shown, value=graph.op("Reshape", padded, fixed))


def _square(size: int | Sequence[int]) -> tuple[int, int]:
    """Return the height and the width of torchvision's crops."""
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    return height, width


def _middle(graph: GraphBuilder, shown: Shown, size: tuple[int, int]) -> tuple[str, str]:
    """Return the corner of torchvision's crop in the middle."""
    top, left = (
        graph.op("Round", graph.op("Div", graph.op("Sub", edge, graph.real(own)), graph.real(2)))
        for edge, own in zip(_edges(graph, shown), size, strict=True)
    )
    return top, left


def _center(graph: GraphBuilder, shown: Shown, given: Arguments) -> Shown:
    """Torchvision's ``CenterCrop``."""
    size = _square(given["size"])
    return crops_at(graph, shown, size, [_middle(graph, shown, size)])


def _five(graph: GraphBuilder, shown: Shown, given: Arguments) -> Shown:
    """Torchvision's ``FiveCrop``: the corners, then the middle."""
    size = _square(given["size"])
    zero = graph.real(0)
    bottom, right = (
        graph.op("Sub", edge, graph.real(own))
        for edge, own in zip(_edges(graph, shown), size, strict=True)
    )
    corners = [(zero, zero), (zero, right), (bottom, zero), (bottom, right)]
    return crops_at(graph, shown, size, [*corners, _middle(graph, shown, size)])


def _grid(graph: GraphBuilder, shown: Shown, given: Arguments) -> Shown:
    """`GridCrop`; a smaller image is enlarged, as `enlarge` does."""
    size = graph.real(given["size"])
    if given["small"] == "upscale":
        edges = _edges(graph, shown)
        scale = graph.op("Max", graph.real(1), *(graph.op("Div", size, edge) for edge in edges))
        new = [
            graph.op("Max", size, graph.op("Round", graph.op("Mul", edge, scale))) for edge in edges
        ]
        shown = resize(graph, shown, *new)
    tops, lefts = (
        _starts(graph, graph.op("Sub", edge, size), count)
        for edge, count in zip(_edges(graph, shown), (given["rows"], given["columns"]), strict=True)
    )
    corners = [(top, left) for top in tops for left in lefts]
    return crops_at(graph, shown, (given["size"], given["size"]), corners)


def _starts(graph: GraphBuilder, last: str, count: int) -> list[str]:
    """Return whole numbers evenly spaced over 0..`last`; a single one is the middle."""
    if count == 1:
        return [graph.op("Floor", graph.op("Div", last, graph.real(2)))]
    return [
        graph.op(
            "Round", graph.op("Div", graph.op("Mul", last, graph.real(k)), graph.real(count - 1))
        )
        for k in range(count)
    ]


def _unit(graph: GraphBuilder, shown: Shown, _: Arguments) -> Shown:
    """`ToTensor`."""
    return finished(graph, shown)


def _normalize(graph: GraphBuilder, shown: Shown, given: Arguments) -> Shown:
    """Torchvision's ``Normalize``."""
    value = per_channel(graph, "Sub", shown.value, given["mean"])
    return replace(shown, value=per_channel(graph, "Div", value, given["std"]))


def _rgb(graph: GraphBuilder, shown: Shown, _: Arguments) -> Shown:
    """Torchvision's ``RGB``: three channels of a grey one."""
    if shown.channels == 3:
        return shown
    return replace(shown, value=graph.op("Concat", *[shown.value] * 3, axis=1), channels=3)


STEPS: dict[str, Node] = {
    "Resize": _resize,
    "AdaptiveResize": _adaptive,
    "ResizePad": _pad,
    "HyperIQAResize": _hyperiqa,
    "CenterCrop": _center,
    "FiveCrop": _five,
    "GridCrop": _grid,
    "ToTensor": _unit,
    "Normalize": _normalize,
    "RGB": _rgb,
}
"""The steps that can be in a file, by their names in a config."""
