"""ONNX files that take 8-bit pixels of any size, and score on the user's scale (see `file`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cliqa.datasets.labels.scale import Scale
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.file import INPUT, OUTPUT, PIXELS, describe
from cliqa.deploy.onnx.pixel_graph import TILES, GraphBuilder, Shown
from cliqa.deploy.onnx.pixel_steps import add_steps
from cliqa.transforms.pipeline import build_pipeline, preprocessing_signature
from cliqa.utils.errors import ConfigError

if TYPE_CHECKING:
    from onnx import ModelProto

SCORE, PROBABILITY = "score", "probability"


def take_pixels(proto: ModelProto, about: Mapping[str, Any], scale: Scale) -> None:
    """Put a model's preprocessing, crops and scale into its graph, in place.

    Args:
        proto: The model of a file of this package.
        about: Its description.
        scale: Of the scores, which are clipped to it; a classifier has none.

    Raises:
        ConfigError: A step of the preprocessing cannot be in a graph.
    """
    if about.get("input") == PIXELS:
        raise ConfigError("export --self-contained: the file is self-contained already.")
    steps = about["eval_transform"]
    built = build_pipeline(steps, "eval_transform", quality=False)
    graph = GraphBuilder()
    shown = add_steps(graph, preprocessing_signature(built), PIXELS, about["channels"])
    helper, nodes = library("onnx").helper, list(proto.graph.node)
    ahead = [*graph.nodes, helper.make_node("Identity", [shown.value], [INPUT], name=INPUT)]
    graph.nodes = []
    output = _outputs(graph, shown, about, scale)
    del proto.graph.node[:], proto.graph.input[:], proto.graph.output[:]
    proto.graph.node.extend([*ahead, *nodes, *graph.nodes])
    to_tensor = library("onnx").numpy_helper.from_array
    proto.graph.initializer.extend(to_tensor(v, name) for name, v in graph.constants.items())
    axes = ["batch", "height", "width", 3]
    proto.graph.input.append(helper.make_tensor_value_info(PIXELS, TILES["uint8"], axes))
    shape = ["batch", len(about["classes"])] if about["classes"] else ["batch"]
    proto.graph.output.append(helper.make_tensor_value_info(output, TILES["float32"], shape))
    of_scores = {"scale": None if about["classes"] else asdict(scale)}
    describe(proto, {**about, "input": PIXELS, "size": None, **of_scores})


def _outputs(graph: GraphBuilder, shown: Shown, about: Mapping[str, Any], scale: Scale) -> str:
    """Add the mean of an image's crops, and the scale or the probabilities; return the output."""
    value, classes = OUTPUT, len(about["classes"])
    if classes:  # a head may have room for more
        value = graph.op("Slice", value, graph.whole(0), graph.whole(classes), graph.whole(1))
    if shown.crops > 1:
        split = (-1, shown.crops, classes) if classes else (-1, shown.crops)
        value = graph.op("Reshape", value, graph.whole(*split))
        value = graph.op("ReduceMean", value, graph.whole(1), keepdims=0)
    make = library("onnx").helper.make_node
    if classes:
        graph.nodes.append(make("Softmax", [value], [PROBABILITY], name=PROBABILITY, axis=1))
        return PROBABILITY
    zero, one = (graph.constant(number, "float32") for number in (0, 1))
    value = graph.op("Clip", value, zero, one)
    if not scale.higher_is_better:
        value = graph.op("Sub", one, value)
    value = graph.op("Mul", value, graph.constant(scale.high - scale.low, "float32"))
    low = graph.constant(scale.low, "float32")
    graph.nodes.append(make("Add", [value, low], [SCORE], name=SCORE))
    return SCORE
