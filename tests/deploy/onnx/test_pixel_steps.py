"""A preprocessing as nodes of a graph: the pipeline's images for pixels of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.deploy.onnx.pixel_graph import GraphBuilder
from cliqa.deploy.onnx.pixel_steps import STEPS, add_steps
from cliqa.transforms.array_pipeline import ARGUMENTS
from cliqa.transforms.decode import to_grey
from cliqa.transforms.pipeline import build_pipeline, preprocessing_signature
from cliqa.utils.errors import ConfigError, DatasetError

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

Step = dict[str, Any]
NORMALIZE: Step = {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
TO_FLOAT: list[Step] = [{"type": "ToTensor"}, NORMALIZE]
LEVEL = 1 / 255 / 0.224
"""One level after `NORMALIZE`, at most."""

SIZES = [(120, 160), (97, 61), (64, 64), (47, 300), (5, 9), (1, 40), (40, 1), (1, 1)]
PIPELINES: dict[str, list[Step]] = {
    "nothing": [],
    "short edge": [{"type": "Resize", "size": 50}, {"type": "CenterCrop", "size": 47}, *TO_FLOAT],
    "both edges": [{"type": "Resize", "size": [40, 70]}, *TO_FLOAT],
    "grid": [
        {"type": "Resize", "size": 64},
        {"type": "GridCrop", "size": 48, "rows": 3, "columns": 4},
        *TO_FLOAT,
    ],
    "a grid of floats": [*TO_FLOAT, {"type": "GridCrop", "size": 48, "rows": 1, "columns": 2}],
    "adaptive": [{"type": "AdaptiveResize", "size": 47}, *TO_FLOAT],
    "pad": [{"type": "ResizePad", "size": 64}, *TO_FLOAT],
    "pad grey": [{"type": "ResizePad", "size": 33, "padding": "constant", "fill": 0.3}, *TO_FLOAT],
    "hyperiqa": [{"type": "HyperIQAResize"}, {"type": "CenterCrop", "size": 224}, *TO_FLOAT],
    "five": [{"type": "Resize", "size": 64}, {"type": "FiveCrop", "size": 33}, *TO_FLOAT],
    "floats": [*TO_FLOAT, {"type": "Resize", "size": 40}],
    "rgb": [{"type": "RGB"}, {"type": "CenterCrop", "size": (20, 30)}, *TO_FLOAT],
}


def graph_of(steps: list[Step], channels: int = 3) -> Callable[[np.ndarray], np.ndarray]:
    """Return a preprocessing's graph as a function: uint8 (N, H, W, 3) -> (N * K, C, h, w)."""
    graph, helper = GraphBuilder(), onnx.helper
    built = build_pipeline(steps, "x", quality=False)
    shown = add_steps(graph, preprocessing_signature(built), "pixels", channels)
    pixels = helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, ["n", "h", "w", 3])
    images = helper.make_tensor_value_info(shown.value, onnx.TensorProto.FLOAT, [None] * 4)
    constants = [onnx.numpy_helper.from_array(v, k) for k, v in graph.constants.items()]
    whole = helper.make_graph(graph.nodes, "g", [pixels], [images], constants)
    opset = [helper.make_opsetid("", 18)]
    model = helper.make_model(whole, opset_imports=opset, ir_version=9)
    onnx.checker.check_model(model)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    content = model.SerializeToString()
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"pixels": batch})[0]


def photographs(height: int, width: int) -> np.ndarray:
    """Return two images of noise over a slope, uint8 (2, H, W, 3)."""
    draw = np.random.default_rng(height * width)
    slope = np.linspace(0, 200, width, dtype=np.uint8)[:, None]
    return slope + draw.integers(0, 56, (2, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", PIPELINES)
def test_images_are_those_of_the_pipeline(name: str) -> None:
    run, pipeline = graph_of(PIPELINES[name]), build_pipeline(PIPELINES[name], "x", quality=False)
    compared = 0
    for size in SIZES:
        batch = photographs(*size)
        planes = [torch.from_numpy(one).permute(2, 0, 1).contiguous() for one in batch]
        try:
            wanted = torch.stack([pipeline(one) for one in planes])
        except DatasetError:  # smaller than a crop: the graph must not make up an image either
            with pytest.raises(Exception, match="Reshape"):  # ONNX Runtime's own
                run(batch)
            continue
        off = np.abs(run(batch) - wanted.flatten(0, -4).numpy())
        compared += 1
        assert off.max() < 1.01 * LEVEL, size  # halves that float32 rounds the other way
        assert (off > 1e-4).mean() < 1e-3, size
    assert compared >= 2


def test_grey_networks_get_the_grey_of_predict() -> None:
    batch = photographs(30, 20)
    steps: list[Step] = [{"type": "ToTensor"}, {"type": "Normalize", "mean": [0.3], "std": [0.4]}]
    grey = to_grey(torch.from_numpy(batch).permute(0, 3, 1, 2))
    wanted = (grey / 255 - 0.3) / 0.4
    off = np.abs(graph_of(steps, channels=1)(batch) - wanted.numpy())
    assert off.max() < 1e-5


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"type": "RandomCrop", "size": 8}, r"the step 'RandomCrop' .* which knows Resize, Adapt"),
        ({"type": "Resize", "size": 8, "interpolation": "bicubic"}, r"of 'Resize' only size can"),
        ({"type": "Resize", "size": 8, "max_size": 20}, r"of 'Resize' only size can be"),
    ],
)
def test_other_steps_are_refused(step: Step, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        graph_of([step])


def test_a_step_that_numpy_does_is_in_graphs_too() -> None:
    assert set(ARGUMENTS) <= set(STEPS)
