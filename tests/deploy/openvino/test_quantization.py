"""OpenVINO files in int8."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.fidelity import compare_models
from cliqa.deploy.onnx.graph import onnx_forward
from cliqa.deploy.onnx.score_head import GraphNode
from cliqa.deploy.openvino.backend import OpenVinoModel, openvino_nodes, read_openvino
from cliqa.deploy.openvino.quantization import looks_like_transformer, quantize_openvino
from cliqa.utils.errors import ArtifactError, ConfigError, DatasetError, ModelError

pytest.importorskip("openvino")
pytest.importorskip("nncf")

Pictures = Callable[..., list[Tensor]]


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_scores_stay_what_they_were(
    kind: str,
    onnx_folder: Path,
    tmp_path: Path,
    pictures: Pictures,
) -> None:
    source, target = onnx_folder / f"{kind}.onnx", tmp_path / "small.xml"
    report = quantize_openvino(source, target, pictures())
    model = OpenVinoModel(target, threads=1)
    found = compare_models(onnx_forward(source, 1), model, pictures(seed=1))
    assert found.rank > 0.99
    assert found.distinct == 24
    assert report.fidelity is not None
    assert report.fidelity.rank > 0.99
    assert report.images == 24
    assert len(report.kept) == (1 if kind == "linear" else 2)
    assert model.metadata == {"format": 1, "names": ["a"], "precision": "int8"}
    nodes = openvino_nodes(read_openvino(target)).values()
    assert sum(node.kind == "FakeQuantize" for node in nodes) >= 3
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".bin", ".json", ".xml"]


def test_depthwise_convolutions_stay_in_bfloat16(
    write_model: Callable[..., Path], tmp_path: Path, pictures: Pictures
) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 8, 1)]
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1), nn.Flatten(0)]
    source, target = write_model(nn.Sequential(*layers, *tail)), tmp_path / "small.xml"
    report = quantize_openvino(source, target, pictures(), "int8-bf16")
    assert sorted(report.kept.values()) == ["depthwise", "score head"]
    model = OpenVinoModel(target, threads=1)
    assert model.metadata["precision"] == report.precision == "int8-bf16"
    assert compare_models(onnx_forward(source, 1), model, pictures(seed=1)).rank > 0.95
    with pytest.raises(ConfigError, match="'int8' or 'int8-bf16', got 'fp16'"):
        quantize_openvino(source, target, pictures(), "fp16")


@pytest.mark.slow
def test_no_library_says_anything(onnx_folder: Path, tmp_path: Path) -> None:
    call = (
        "import torch; from cliqa.deploy.openvino.quantization import quantize_openvino as q; "
        f"q({str(onnx_folder / 'linear.onnx')!r}, {str(tmp_path / 'small.xml')!r}, "
        "[torch.rand(8, 3, 16, 16)])"
    )
    done = subprocess.run(  # libraries speak when they are imported, once a process
        [sys.executable, "-W", "ignore", "-c", call], capture_output=True, text=True, check=True
    )
    said = [line for line in done.stderr.splitlines() if "batches" not in line and line.strip()]
    assert (done.stdout, said) == ("", [])


def test_files_are_smaller(write_model: Any, tmp_path: Path) -> None:
    body = nn.Sequential(nn.Conv2d(3, 128, 3), nn.ReLU(), nn.Conv2d(128, 128, 3), nn.ReLU())
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 2))
    source = write_model(nn.Sequential(body, head))
    report = quantize_openvino(source, tmp_path / "small.xml", [torch.randn(4, 3, 16, 16)])
    assert report.ratio > 3
    assert report.fidelity is not None
    assert report.fidelity.agreement is not None  # logits


def test_attention_is_recognised() -> None:
    product = {"a": GraphNode("MatMul", (), False), "s": GraphNode("Softmax", ("a",), False)}
    assert looks_like_transformer(product, [])
    assert not looks_like_transformer(product, ["a"])
    assert not looks_like_transformer({"a": GraphNode("MatMul", (), True), "s": product["s"]}, [])


def test_what_cannot_be_quantized(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = onnx_folder / "linear.onnx", tmp_path / "small.xml"
    with pytest.raises(DatasetError, match="no calibration batch"):
        quantize_openvino(source, target, [])
    with pytest.raises(ArtifactError, match="no such file"):
        quantize_openvino(tmp_path / "none.onnx", target, pictures())

    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("no such operator\nand more")

    monkeypatch.setattr("nncf.quantize", fail)
    with pytest.raises(
        ModelError, match=r"NNCF cannot quantize it: no such operator\. Use onnxruntime"
    ):
        quantize_openvino(source, target, pictures())
    assert list(tmp_path.iterdir()) == []


def test_the_missing_extra_is_named(
    onnx_folder: Path, tmp_path: Path, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ConfigError, match=r'nncf cannot be imported .*"\.\[openvino\]"'):
        quantize_openvino(onnx_folder / "linear.onnx", tmp_path / "small.xml", pictures())
