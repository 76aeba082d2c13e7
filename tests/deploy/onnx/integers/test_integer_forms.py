"""Forms of graphs that are fast in integers, and parts that stay in float."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.fidelity import compare_models
from cliqa.deploy.onnx.graph import load_graph, onnx_forward
from cliqa.deploy.onnx.integers.integer_forms import (
    nodes_of_parts,
    pool_in_one_node,
    saturate_hard_sigmoids,
)
from cliqa.deploy.onnx.integers.mixed_precision import quantize_mixed_precision
from cliqa.deploy.onnx.integers.prepared_graph import prepared
from cliqa.deploy.onnx.integers.quantization import quantize_int8
from cliqa.utils.errors import ConfigError

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

Pictures = Callable[..., list[Tensor]]


class Mobile(nn.Module):
    """A stem, a depthwise convolution, squeeze-and-excite, hard swishes and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Hardswish())
        self.less, self.more = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
        self.last, self.head = nn.Conv2d(8, 16, 1), nn.Linear(16, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, 3, H, W)."""
        maps = self.deep(self.stem(images))
        gate = self.more(self.less(maps.mean((2, 3), keepdim=True)).relu())
        maps = nn.functional.hardswish(self.last(maps * nn.functional.hardsigmoid(gate)))
        scores: Tensor = self.head(maps.mean((2, 3)))[:, 0]
        return scores


@pytest.fixture
def mobile(write_model: Callable[..., Path]) -> Path:
    torch.manual_seed(0)
    return write_model(Mobile())


def kinds(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in load_graph(path).graph.node)


def test_means_over_the_map_become_pooling_with_the_same_values(
    mobile: Path, pictures: Pictures
) -> None:
    with prepared(mobile) as graph:
        found = Counter(node.op_type for node in graph.model.graph.node)
        assert (found["GlobalAveragePool"], found["ReduceMean"]) == (1, 1)  # the head's has no H, W
        for images in pictures(2):
            same = onnx_forward(graph.path, 1)(images), onnx_forward(mobile, 1)(images)
            assert torch.allclose(*same, atol=1e-6)
        assert pool_in_one_node(graph.model) == 0
        read = {name for node in graph.model.graph.node for name in node.input}
        assert {tensor.name for tensor in graph.model.graph.initializer} <= read


def test_quantizing_prints_nothing(
    mobile: Path, tmp_path: Path, pictures: Pictures, capfd: pytest.CaptureFixture[str]
) -> None:
    model = load_graph(mobile)
    spare = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "spare")
    model.graph.initializer.append(spare)  # ONNX Runtime warns of a constant that nobody reads
    source = tmp_path / "spare.onnx"
    onnx.save(model, source)
    quantize_int8(source, tmp_path / "small.onnx", pictures(2))
    assert capfd.readouterr() == ("", "")
    runtime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    assert "Removing initializer 'spare'" in capfd.readouterr().err  # a user's own sessions do


def test_no_hard_sigmoid_is_left_between_integers(
    mobile: Path, tmp_path: Path, pictures: Pictures
) -> None:
    target = tmp_path / "small.onnx"
    quantize_int8(mobile, target, pictures(6))
    assert kinds(mobile)["HardSwish"] + kinds(mobile)["HardSigmoid"] == 4
    assert kinds(target)["HardSigmoid"] == kinds(target)["HardSwish"] == 0
    found = compare_models(onnx_forward(mobile, 1), onnx_forward(target, 1), pictures(4, seed=5))
    assert found.rank > 0.98
    wide = tmp_path / "wide.onnx"
    quantize_int8(mobile, wide, pictures(6), activations="uint16")
    assert kinds(wide)["HardSigmoid"] == 4  # 16 bits are computed in float


def test_a_sum_that_saturates_is_a_hard_sigmoid() -> None:
    scale, zero = 0.05, 120
    helper, proto = onnx.helper, onnx.TensorProto
    numbers = {"s": (proto.FLOAT, scale), "z": (proto.UINT8, zero)}
    numbers |= {"t": (proto.FLOAT, 1 / 255), "o": (proto.UINT8, 0)}
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", ["x", "s", "z"], ["a"], name="d"),
            helper.make_node("HardSigmoid", ["a"], ["b"], name="h", alpha=1 / 6, beta=0.5),
            helper.make_node("QuantizeLinear", ["b", "t", "o"], ["c"], name="q"),
            helper.make_node("DequantizeLinear", ["c", "t", "o"], ["y"], name="e"),
        ],
        "g",
        [helper.make_tensor_value_info("x", proto.UINT8, [256])],
        [helper.make_tensor_value_info("y", proto.FLOAT, [256])],
        [helper.make_tensor(name, kind, (), [value]) for name, (kind, value) in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert saturate_hard_sigmoids(model) == 1
    onnx.checker.check_model(model)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values = np.arange(256, dtype=np.uint8)
    found = session.run(None, {"x": values})[0]
    wanted = np.clip((values.astype(np.float64) - zero) * scale / 6 + 0.5, 0, 1)
    assert np.abs(found - wanted).max() <= 0.51 / 255
    assert (found[0], found[-1]) == (0, 1)


def test_parts_are_found(mobile: Path, onnx_folder: Path) -> None:
    with prepared(mobile) as graph:
        nodes = {node.name: node.op_type for node in graph.model.graph.node}
        parts = {
            part: Counter(nodes[name] for name in nodes_of_parts(graph.model, [part]))
            for part in ("stem", "depthwise", "squeeze-excite")
        }
        both = nodes_of_parts(graph.model, ["stem", "depthwise"])
    assert parts["depthwise"] == {"Conv": 1}
    assert parts["stem"]["Conv"] == 2
    gates = parts["squeeze-excite"]
    assert (gates["GlobalAveragePool"], gates["Conv"], gates["HardSigmoid"]) == (1, 2, 1)
    assert gates["Mul"] == 0  # of the whole map
    assert len(both) == len(set(both))
    with prepared(onnx_folder / "linear.onnx") as graph:
        for part in parts:
            with pytest.raises(ConfigError, match=f"the network has no {part} part. Leave it out"):
                nodes_of_parts(graph.model, [part])
        with pytest.raises(ConfigError, match=r"must be among stem, depthwise, .*got 'neck'"):
            nodes_of_parts(graph.model, ["neck"])


def test_a_part_stays_in_float_in_every_attempt(
    mobile: Path, tmp_path: Path, pictures: Pictures
) -> None:
    report = quantize_mixed_precision(mobile, tmp_path / "s.onnx", pictures(6), ["depthwise"])
    assert all(one.in_float.startswith("depthwise, ") for one in report.attempts)
    assert [one for one in report.kept.values() if one == "excluded"]
    assert report.in_float.startswith("depthwise, ")
