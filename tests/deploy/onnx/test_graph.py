"""ONNX files as graphs and as functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.deploy.onnx.graph import (
    get_metadata,
    graph_input,
    load_graph,
    name_nodes,
    onnx_forward,
    onnx_head,
    set_metadata,
)
from cliqa.deploy.onnx.integers.prepared_graph import prepared
from cliqa.utils.errors import ArtifactError, ModelError


def kinds(path: Path) -> list[str]:
    with prepared(path) as graph:
        of = {node.name: node.op_type for node in graph.model.graph.node}
        return [of[name] for name in graph.head]


def test_heads_of_real_files(onnx_folder: Path) -> None:
    assert [k for k in kinds(onnx_folder / "linear.onnx") if k != "Gather"] == [
        "ReduceMean",
        "Gemm",
    ]
    raw = load_graph(onnx_folder / "cosine.onnx")  # constants are not folded yet
    name_nodes(raw)
    of = {node.name: node.op_type for node in raw.graph.node}
    assert [of[name] for name in onnx_head(raw)].count("MatMul") == 1
    assert [of[name] for name in onnx_head(raw)].count("Gemm") == 1
    cosine = kinds(onnx_folder / "cosine.onnx")
    assert (cosine.count("Gemm"), cosine.count("MatMul")) == (1, 1)
    assert "Conv" not in cosine
    generated = kinds(onnx_folder / "generated.onnx")
    assert generated.count("MatMul") == 2
    assert not {"Gemm", "Conv"} & set(generated)


def test_a_file_computes_what_its_model_does(onnx_folder: Path, scorer: nn.Module) -> None:
    forward = onnx_forward(onnx_folder / "linear.onnx", threads=1)
    images = torch.randn(5, 3, 16, 16)
    with torch.no_grad():
        assert torch.allclose(forward(images), scorer(images), atol=1e-6)
    assert forward(images[:1]).shape == (1,)


def test_every_node_gets_a_name_of_its_own(onnx_folder: Path) -> None:
    model = load_graph(onnx_folder / "linear.onnx")
    model.graph.node[0].name = "Relu_1"
    for node in model.graph.node[1:]:
        node.name = ""
    name_nodes(model)
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)
    assert names[0] == "Relu_1"


def test_metadata_is_replaced(onnx_folder: Path) -> None:
    model = load_graph(onnx_folder / "linear.onnx")
    assert set(get_metadata(model, "m")) == {"cliqa", "other"}
    set_metadata(model, {"a": "1"})
    assert get_metadata(model, "m") == {"a": "1"}
    for text in ("{", "3"):
        set_metadata(model, {"cliqa": text})
        with pytest.raises(ArtifactError, match=r"m: its metadata is damaged .*Export it again"):
            get_metadata(model, "m")


def test_what_is_no_onnx_file(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"none\.onnx: no such file\. Write it"):
        load_graph(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("weights")
    with pytest.raises(ArtifactError, match=r"text\.onnx: damaged, or no ONNX file"):
        load_graph(tmp_path / "text.onnx")
    with pytest.raises(ArtifactError, match=r"text\.onnx: damaged, or no ONNX file"):
        onnx_forward(tmp_path / "text.onnx")


def test_the_input_must_be_images(write_model: Callable[..., Path]) -> None:
    class Flat(nn.Module):
        def forward(self, images: Any) -> Any:
            return images.flatten(1).sum(1)

    model = load_graph(write_model(Flat()))
    assert graph_input(model, "m") == ("images", [None, 3, 16, 16])
    model.graph.input[0].type.tensor_type.shape.dim.pop()
    with pytest.raises(ModelError, match=r"m: expected one input \(N, C, H, W\).*images \[None"):
        graph_input(model, "m")
