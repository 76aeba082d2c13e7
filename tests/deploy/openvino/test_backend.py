"""OpenVINO's files, and how they run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.file_checksum import COMMENT
from cliqa.deploy.openvino import backend as module
from cliqa.deploy.openvino.backend import (
    OpenVinoModel,
    openvino_head,
    openvino_nodes,
    read_openvino,
    to_openvino,
)
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError

pytest.importorskip("openvino")


@pytest.mark.parametrize("kind", ["linear", "cosine", "generated"])
def test_a_model_says_what_its_onnx_file_says(kind: str, onnx_folder: Path, tmp_path: Path) -> None:
    from cliqa.deploy.onnx.graph import onnx_forward  # noqa: PLC0415  needs onnxruntime

    source, target = onnx_folder / f"{kind}.onnx", tmp_path / "model.xml"
    report = to_openvino(source, target)
    assert report.bytes_after == sum(
        (tmp_path / f"model.{x}").stat().st_size for x in ("xml", "bin", "json")
    )
    model = OpenVinoModel(target, threads=1)
    for count in (1, 5):
        images = torch.randn(count, 3, 16, 16)
        assert torch.allclose(model(images), onnx_forward(source, 1)(images), atol=1e-5)
    first = model(images)
    kept = first.clone()
    model(-images)
    assert torch.equal(first, kept)  # outputs are no view of what the next pass writes into


def test_metadata_stands_beside_the_model(
    onnx_folder: Path, write_model: Any, scorer: nn.Module, tmp_path: Path
) -> None:
    to_openvino(onnx_folder / "linear.onnx", tmp_path / "model.xml", "bf16")
    expected = {"format": 1, "names": ["a"], "precision": "bf16"}
    assert json.loads((tmp_path / "model.json").read_text()) == expected
    assert OpenVinoModel(tmp_path / "model.xml").metadata == expected
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["model.bin", "model.json", "model.xml"]
    to_openvino(write_model(scorer, metadata=False), tmp_path / "plain.xml")
    assert OpenVinoModel(tmp_path / "plain.xml").metadata == {"precision": "fp32"}
    (tmp_path / "plain.json").unlink()
    assert OpenVinoModel(tmp_path / "plain.xml").metadata == {}


def test_bfloat16_is_near(onnx_folder: Path, tmp_path: Path) -> None:
    to_openvino(onnx_folder / "linear.onnx", tmp_path / "model.xml", "bf16")
    images = torch.randn(4, 3, 16, 16)
    to_openvino(onnx_folder / "linear.onnx", tmp_path / "exact.xml")
    exact = OpenVinoModel(tmp_path / "exact.xml")(images)
    found = OpenVinoModel(tmp_path / "model.xml")(images)
    assert torch.allclose(found, exact, atol=0.05)


def test_a_model_is_compiled_for_the_first_lengths_of_a_batch(
    onnx_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LENGTHS", 2)
    model = read_openvino(onnx_folder / "linear.onnx")
    cloned: list[int] = []

    class Counted:
        """The model; it counts how often it is compiled for a length."""

        def __getattr__(self, name: str) -> Any:
            return getattr(model, name)

        def clone(self) -> Any:
            cloned.append(1)
            return model.clone()

    core = module.library("openvino", "openvino").Core

    class Core:
        """OpenVINO's, which takes its own models alone."""

        def compile_model(self, given: Any, *options: Any) -> Any:
            return core().compile_model(model if isinstance(given, Counted) else given, *options)

    monkeypatch.setattr(module, "library", lambda *_: SimpleNamespace(Core=Core))
    run = module.openvino_forward(Counted(), 1)
    images = torch.randn(5, 3, 16, 16)
    alone = torch.cat([run(images[:1]), run(images[1:3]), run(images[3:4]), run(images[4:])])
    assert len(cloned) == 2  # for one and two images
    assert torch.allclose(run(images), alone, atol=1e-5)  # as any length
    assert len(cloned) == 2


def test_the_heads_are_found_in_openvinos_graphs_too(onnx_folder: Path) -> None:
    heads = {}
    for kind in ("linear", "cosine", "generated"):
        model = read_openvino(onnx_folder / f"{kind}.onnx")
        nodes = openvino_nodes(model)
        heads[kind] = [nodes[name].kind for name in openvino_head(model)]
    assert [heads[kind].count("MatMul") for kind in heads] == [1, 2, 2]
    assert all("Convolution" not in kinds for kinds in heads.values())


def test_what_cannot_be_read(
    onnx_folder: Path, tmp_path: Path, pictures: Callable[..., list[Tensor]]
) -> None:
    source = onnx_folder / "linear.onnx"
    with pytest.raises(ConfigError, match=r"model\.bin: OpenVINO's files end in \.xml"):
        to_openvino(source, tmp_path / "model.bin")
    with pytest.raises(ConfigError, match=r"'fp32' or 'bf16', got 'int8'.*quantize_openvino"):
        to_openvino(source, tmp_path / "model.xml", "int8")
    with pytest.raises(ArtifactError, match=r"none\.xml: no such file\. An OpenVINO model is"):
        OpenVinoModel(tmp_path / "none.xml")
    to_openvino(source, tmp_path / "model.xml")
    with pytest.raises(ModelError, match=r"fails on images of shape \(1, 4, 16, 16\).*Give images"):
        OpenVinoModel(tmp_path / "model.xml")(torch.zeros(1, 4, 16, 16))
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(
        ArtifactError, match=r"model\.json: damaged, or of another model than model"
    ):
        OpenVinoModel(tmp_path / "model.xml")
    older = (tmp_path / "model.xml").read_bytes().partition(COMMENT)[0]
    (tmp_path / "model.xml").write_bytes(older)
    with pytest.raises(ArtifactError, match=r"model\.json is damaged .*Write the model again"):
        OpenVinoModel(tmp_path / "model.xml")
    (tmp_path / "model.json").write_text('{"precision": "fp8"}')
    with pytest.raises(
        ConfigError, match=r"must be one of 'fp32', 'bf16', 'int8', 'int8-bf16', got 'fp8'"
    ):
        OpenVinoModel(tmp_path / "model.xml")
    (tmp_path / "model.json").unlink()
    (tmp_path / "model.xml").write_text("<net>")
    with pytest.raises(ArtifactError, match=r"model\.xml: OpenVINO cannot read it"):
        OpenVinoModel(tmp_path / "model.xml")
    (tmp_path / "model.bin").unlink()
    with pytest.raises(ArtifactError, match=r"model\.bin: no such file"):
        OpenVinoModel(tmp_path / "model.xml")
