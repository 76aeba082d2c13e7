"""Which nodes are the head."""

from __future__ import annotations

from cliqa.deploy.onnx.score_head import GraphNode, score_head


def node(kind: str, *inputs: str, weighted: bool = False) -> GraphNode:
    return GraphNode(kind, inputs, weighted)


def test_a_head_ends_at_the_last_layer_with_weights() -> None:
    graph = {
        "conv": node("Conv", weighted=True),
        "relu": node("Relu", "conv"),
        "mean": node("GlobalAveragePool", "relu"),
        "flat": node("Flatten", "mean"),
        "fc": node("Gemm", "flat", weighted=True),
        "norm": node("ReduceL2", "fc"),
        "div": node("Div", "fc", "norm"),
        "out": node("Sigmoid", "div"),
    }
    assert score_head(graph, ["out"]) == {"mean", "flat", "fc", "norm", "div", "out"}


def test_all_branches_of_an_output_are_followed() -> None:
    graph = {
        "a": node("Conv", weighted=True),
        "left": node("Gemm", "a", weighted=True),
        "right": node("MatMul", "a", weighted=True),
        "out": node("Add", "left", "right"),
    }
    assert score_head(graph, ["out"]) == {"left", "right", "out"}


def test_a_network_made_for_an_image_is_the_head_and_its_makers_are_not() -> None:
    graph = {
        "conv": node("Conv", weighted=True),
        "make1": node("Conv", "conv", weighted=True),
        "make2": node("Gemm", "conv", weighted=True),
        "shape1": node("Reshape", "make1"),
        "shape2": node("Reshape", "make2"),
        "vector": node("Gemm", "conv", weighted=True),
        "hidden": node("MatMul", "shape1", "vector"),
        "squash": node("Sigmoid", "hidden"),
        "product": node("MatMul", "shape2", "squash"),
        "bias": node("Gemm", "conv", weighted=True),
        "score": node("Add", "product", "bias"),
    }
    found = score_head(graph, ["score"])
    assert found == {"score", "product", "squash", "hidden", "shape1", "shape2"}


def test_the_projection_of_a_cosine_is_in_the_head() -> None:
    graph = {
        "conv": node("Conv", weighted=True),
        "relu6": node("Clip", "conv"),
        "mean": node("ReduceMean", "relu6"),
        "project": node("Gemm", "mean", weighted=True),
        "length": node("ReduceL2", "project"),
        "least": node("Clip", "length"),
        "unit": node("Div", "project", "least"),
        "cosine": node("MatMul", "unit", weighted=True),
    }
    assert score_head(graph, ["cosine"]) == graph.keys() - {"conv", "relu6"}


def test_a_sum_of_two_branches_ends_the_projection_of_a_cosine() -> None:
    graph = {
        "left": node("Gemm", weighted=True),
        "right": node("Gemm", weighted=True),
        "sum": node("Add", "left", "right"),
        "length": node("ReduceL2", "sum"),
        "unit": node("Div", "sum", "length"),
        "cosine": node("MatMul", "unit", weighted=True),
    }
    assert score_head(graph, ["cosine"]) == graph.keys() - {"left", "right", "sum"}


def test_a_convolution_can_be_a_head() -> None:
    graph = {
        "conv": node("Conv", weighted=True),
        "map": node("Conv", "conv", weighted=True),
        "mean": node("ReduceMean", "map"),
    }
    assert score_head(graph, ["mean"]) == {"map", "mean"}
