"""ONNX files that know what they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.deploy.file_checksum import seal_onnx
from cliqa.deploy.onnx.export import export_onnx
from cliqa.deploy.onnx.file import (
    OnnxModel,
    describe,
    load_proto,
    parse_metadata,
    read_metadata,
)
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

ABOUT = {"names": ["a", "ä"], "classes": [], "eval_transform": [{"type": "ToTensor"}]}


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Replace the description of an ONNX file."""
    proto = load_proto(path)
    describe(proto, metadata)
    path.write_bytes(seal_onnx(proto))


@pytest.fixture
def file(tmp_path: Path, tiny_net: nn.Module) -> Path:
    export_onnx(tiny_net, tmp_path / "m.onnx", channels=3, size=(16, 20), metadata=ABOUT)
    return tmp_path / "m.onnx"


def test_a_file_says_what_it_is_for_and_computes(file: Path, tiny_net: nn.Module) -> None:
    model = OnnxModel(file, threads=1)
    assert model.metadata == read_metadata(file)
    assert {key: model.metadata[key] for key in ABOUT} == ABOUT
    said = [model.metadata[key] for key in ("format", "channels", "size", "precision")]
    assert said == [1, 3, [16, 20], "fp32"]
    assert model.metadata["parameters"] == sum(p.numel() for p in tiny_net.parameters())
    for batch in (1, 3, 8):
        images = torch.randn(batch, 3, 16, 20)
        found = model(images.double())
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, tiny_net(images), rtol=0, atol=1e-6)


def test_a_description_is_replaced_and_the_weights_stay(file: Path) -> None:
    before = OnnxModel(file)(torch.ones(2, 3, 16, 20))
    proto = load_proto(file)
    proto.metadata_props.add(key="other", value="kept")
    file.write_bytes(proto.SerializeToString())
    write_metadata(file, {**read_metadata(file), "precision": "int8"})
    assert read_metadata(file)["precision"] == "int8"
    assert {row.key for row in load_proto(file).metadata_props} == {"cliqa", "other"}
    assert torch.equal(OnnxModel(file)(torch.ones(2, 3, 16, 20)), before)
    whole = file.read_bytes()
    with pytest.raises(ConfigError, match="cannot be written as JSON .*Use numbers, texts"):
        write_metadata(file, {"names": object()})
    assert file.read_bytes() == whole
    assert [path.name for path in file.parent.iterdir()] == ["m.onnx"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 16, 20), r"takes images \(B, C, H, W\), got shape \(3, 16, 20\)"),
        ((1, 1, 16, 20), r"takes images of 3 channel\(s\), got 1"),
        ((1, 3, 20, 16), r"of 16 x 20 pixels \(height x width\), got 20 x 16\. Resize or crop"),
    ],
)
def test_other_images_are_refused(file: Path, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        OnnxModel(file)(torch.zeros(shape))


def test_what_is_no_such_file_is_told(file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    contents = {"text": b"no model", "empty": b"", "cut": whole[: len(whole) // 2]}
    for name, content in contents.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        for read in (read_metadata, OnnxModel):
            with pytest.raises(ArtifactError, match=rf"{name}\.onnx: damaged, or no ONNX file"):
                read(path)
    for read in (read_metadata, OnnxModel):
        with pytest.raises(ArtifactError, match=r"gone\.onnx: no such file\. Write it with"):
            read(tmp_path / "gone.onnx")


def test_files_of_others_and_of_other_formats_are_told(file: Path) -> None:
    proto = load_proto(file)
    described: Any = next(row for row in proto.metadata_props if row.key == "cliqa")
    described.value = json.dumps({**json.loads(described.value), "format": 7})
    file.write_bytes(proto.SerializeToString())
    for read in (read_metadata, OnnxModel):
        with pytest.raises(ArtifactError, match=r"described in format 7, .* reads 1\. Export the"):
            read(file)
    del proto.metadata_props[:]
    file.write_bytes(proto.SerializeToString())
    for read in (read_metadata, OnnxModel):
        with pytest.raises(ArtifactError, match="does not state which images it takes. Write it"):
            read(file)
    for text in ("[]", "{}", "{"):
        with pytest.raises(ArtifactError, match="its description cannot be read"):
            parse_metadata({"cliqa": text}, "m.onnx")


def test_threads_are_pytorchs_unless_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime  # noqa: PLC0415  an optional extra

    made: list[int] = []
    real = onnxruntime.InferenceSession

    def session(content: bytes, options: Any, **arguments: Any) -> Any:
        made.append(options.intra_op_num_threads)
        return real(content, options, **arguments)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    OnnxModel(file)
    OnnxModel(file, threads=3)
    assert made == [torch.get_num_threads(), 3]


def test_damage_is_told_and_nothing_is_printed(
    file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = file.read_bytes()
    images = torch.zeros(1, 3, 16, 20)
    rng = torch.Generator().manual_seed(0)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for place in torch.randint(0, 400, (3,), generator=rng).tolist():
            data[place] = 0xFF
        file.write_bytes(data)
        try:
            OnnxModel(file, threads=1)(images)
        except (ArtifactError, ModelError):
            refused += 1
    assert refused > 30
    assert capfd.readouterr().out == ""
