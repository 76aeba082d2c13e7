"""Eight bits: against the definition, and what a file becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.onnx.graph import get_metadata, load_graph, onnx_forward, save_graph
from cliqa.deploy.onnx.integers.prepared_graph import prepared
from cliqa.deploy.onnx.integers.quantization import quantize_int8, write_quantized
from cliqa.utils.errors import ArtifactError, ConfigError, DatasetError, ModelError

Pictures = Callable[..., list[Tensor]]


def fake(values: Tensor, seen: Tensor) -> Tensor:
    """Return values rounded to eight bits over what was seen, written as the definition has it."""
    low, high = min(float(seen.min()), 0.0), max(float(seen.max()), 0.0)
    scale = (high - low) / 255
    zero = round(-low / scale)
    return ((values / scale).round() + zero).clamp(0, 255).sub(zero) * scale


def test_a_convolution_is_rounded_as_the_definition_says(
    write_model: Callable[..., Path], tmp_path: Path, pictures: Pictures
) -> None:
    torch.manual_seed(0)
    model = nn.Conv2d(3, 4, 3, bias=False)
    with torch.no_grad():
        model.weight *= torch.tensor([1.0, 5.0, 0.1, 2.0]).view(-1, 1, 1, 1)
    batches = pictures()
    with prepared(write_model(model)) as graph:
        graph.head = []  # the only layer
        graph.calibrate(batches)
        write_quantized(graph, tmp_path / "small.onnx")
    images = torch.cat(batches)
    with torch.no_grad():
        seen = model(images)
        scale = model.weight.abs().amax((1, 2, 3), keepdim=True) / 127  # one per output channel
        rounded = (model.weight / scale).round() * scale
        exact = nn.functional.conv2d(fake(images, images), rounded)
    step = float(seen.max() - seen.min()) / 255
    found = onnx_forward(tmp_path / "small.onnx", 1)(images)
    error = (found - fake(exact, seen)).abs()
    assert float(error.max()) <= 1.01 * step  # a value between two steps may go either way
    assert float((error > 0.01 * step).float().mean()) < 0.01


@pytest.mark.parametrize("kind", ["linear", "cosine", "generated"])
@pytest.mark.parametrize("activations", ["uint8", "uint16"])
def test_scores_stay_what_they_were(
    kind: str, activations: str, onnx_folder: Path, tmp_path: Path, pictures: Pictures
) -> None:
    source, target = onnx_folder / f"{kind}.onnx", tmp_path / "small.onnx"
    report = quantize_int8(source, target, pictures(), activations=activations)
    images = torch.cat(pictures(seed=1))
    exact, found = onnx_forward(source, 1)(images), onnx_forward(target, 1)(images)
    error = float((found - exact).pow(2).mean().sqrt() / exact.std())
    assert error < (0.25 if kind == "generated" else 0.05)
    assert torch.corrcoef(torch.stack([found, exact]))[0, 1] > 0.98
    assert len(found.unique()) == len(images)
    assert report.activations == activations
    assert report.quantized_layers == report.layers - len(report.kept)
    assert set(report.kept.values()) == {"score head"}


def test_activations_are_unsigned_and_weights_signed(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures
) -> None:
    onnx = pytest.importorskip("onnx")
    quantize_int8(onnx_folder / "linear.onnx", tmp_path / "small.onnx", pictures())
    graph = load_graph(tmp_path / "small.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    of_activations = {kinds[n.input[2]] for n in graph.node if n.op_type == "QuantizeLinear"}
    assert of_activations == {onnx.TensorProto.UINT8}  # signed ones are slow on x86
    weights = [n for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in kinds]
    assert {kinds[n.input[0]] for n in weights} == {onnx.TensorProto.INT8, onnx.TensorProto.INT32}


def test_a_head_in_eight_bits_has_few_scores(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures
) -> None:
    source = onnx_folder / "linear.onnx"
    images = torch.cat(pictures(60))  # 480, of which 256 can differ
    distinct = {}
    with prepared(source) as graph:
        graph.calibrate(pictures())
        for keep in (True, False):
            target = tmp_path / f"{keep}.onnx"
            graph.head = graph.head if keep else []
            write_quantized(graph, target)
            distinct[keep] = len(onnx_forward(target, 1)(images).unique())
    assert distinct[False] <= 256 < 470 < distinct[True]


def test_the_report_and_the_file_agree(write_model: Any, tmp_path: Path) -> None:
    wide = nn.Sequential(
        nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 128, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    source = write_model(nn.Sequential(*wide, nn.Linear(128, 1)))
    report = quantize_int8(source, tmp_path / "small.onnx", [torch.randn(4, 3, 16, 16)])
    assert report.bytes_before == source.stat().st_size
    assert report.bytes_after == (tmp_path / "small.onnx").stat().st_size
    assert report.ratio == pytest.approx(report.bytes_before / report.bytes_after)
    assert report.ratio > 3.3
    assert (report.layers, report.quantized_layers, report.images) == (3, 2, 4)
    assert list(report.kept.values()) == ["score head"]


def test_metadata_is_kept_where_there_is_any(
    onnx_folder: Path, write_model: Any, scorer: nn.Module, tmp_path: Path, pictures: Pictures
) -> None:
    quantize_int8(onnx_folder / "linear.onnx", tmp_path / "small.onnx", pictures())
    found = get_metadata(load_graph(tmp_path / "small.onnx"), "small")
    assert json.loads(found["cliqa"]) == {"format": 1, "names": ["a"], "precision": "int8"}
    assert found["other"] == "kept"
    quantize_int8(
        onnx_folder / "linear.onnx", tmp_path / "wide.onnx", pictures(), activations="uint16"
    )
    assert '"a16w8"' in get_metadata(load_graph(tmp_path / "wide.onnx"), "wide")["cliqa"]
    plain = write_model(scorer, metadata=False)
    quantize_int8(plain, tmp_path / "plain.onnx", pictures())
    assert get_metadata(load_graph(tmp_path / "plain.onnx"), "plain") == {}


def test_a_file_can_be_replaced_by_its_smaller_self(
    write_model: Any, scorer: nn.Module, pictures: Pictures
) -> None:
    path = write_model(scorer)
    before = path.stat().st_size
    report = quantize_int8(path, path, pictures())
    assert (report.bytes_before, report.bytes_after) == (before, path.stat().st_size)


def test_group_normalisation_stays_in_float(
    write_model: Callable[..., Path], tmp_path: Path, pictures: Pictures
) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.ReLU()]
    layers += [nn.Conv2d(8, 8, 3), nn.GroupNorm(2, 8), nn.ReLU()]  # both share their constants
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1))
    source = write_model(model)
    quantize_int8(source, tmp_path / "small.onnx", pictures())
    graph = load_graph(tmp_path / "small.onnx").graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    norms = [node for node in graph.node if node.op_type == "InstanceNormalization"]
    assert len(norms) == 2
    for node in norms:
        assert "DequantizeLinear" not in [made_by.get(name) for name in node.input[1:]]
    images = torch.cat(pictures(seed=1))
    exact, found = onnx_forward(source, 1)(images), onnx_forward(tmp_path / "small.onnx", 1)(images)
    assert float((found - exact).abs().max() / exact.std()) < 0.2


def test_nodes_can_stay_in_float(onnx_folder: Path, tmp_path: Path, pictures: Pictures) -> None:
    with prepared(onnx_folder / "linear.onnx") as graph:
        graph.calibrate(pictures())
        report = write_quantized(graph, tmp_path / "a.onnx", exclude=["/stem/stem.0/Conv"])
    assert [name for name, why in report.kept.items() if why == "excluded"] == ["/stem/stem.0/Conv"]


def test_a_failure_leaves_the_target_and_no_rest(
    onnx_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    target = tmp_path / "small.onnx"
    target.write_text("before")
    with pytest.raises(DatasetError, match="no calibration batch"):
        quantize_int8(onnx_folder / "linear.onnx", target, [])
    assert target.read_text() == "before"
    quantize_int8(onnx_folder / "linear.onnx", target, [torch.rand(4, 3, 16, 16)])
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.onnx", "tmp"]


def test_files_that_cannot_be_quantized(
    onnx_folder: Path, write_model: Any, tmp_path: Path, pictures: Pictures
) -> None:
    source, target = onnx_folder / "linear.onnx", tmp_path / "small.onnx"
    with pytest.raises(ArtifactError, match="no such file"):
        quantize_int8(tmp_path / "none.onnx", target, pictures())
    with pytest.raises(ConfigError, match=r"activations must be 'uint8' or 'uint16', got 'int8'"):
        quantize_int8(source, target, pictures(), activations="int8")
    quantize_int8(source, target, pictures())
    with pytest.raises(ModelError, match=r"small\.onnx is quantized already"):
        quantize_int8(target, tmp_path / "twice.onnx", pictures())
    with pytest.raises(ModelError, match=r"pool\.onnx has no layer to quantize"):
        quantize_int8(write_model(nn.AvgPool2d(2), "pool.onnx"), target, pictures())
    strange = load_graph(source)
    node = next(node for node in strange.graph.node if node.op_type == "Relu")
    node.op_type, node.domain = "Twist", "elsewhere"
    strange.opset_import.add(domain="elsewhere", version=1)
    save_graph(strange, tmp_path / "strange.onnx")
    with pytest.raises(
        ModelError, match=r"onnxruntime cannot run the graph .*Twist.*standard opset"
    ):
        quantize_int8(tmp_path / "strange.onnx", target, pictures())


def test_ranges_come_first(onnx_folder: Path, tmp_path: Path) -> None:
    with prepared(onnx_folder / "linear.onnx") as graph:
        with pytest.raises(ModelError, match=r"no ranges\. Call calibrate"):
            write_quantized(graph, tmp_path / "small.onnx")
        graph.calibrate([torch.rand(4, 3, 16, 16)])
        graph.ranges = {}
        with pytest.raises(ModelError, match=r"onnxruntime cannot quantize it.*--backend openvino"):
            write_quantized(graph, tmp_path / "small.onnx")
