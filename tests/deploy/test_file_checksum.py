"""Checksums of exported files: a flipped bit is an error, and files of others are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cliqa.deploy.file_checksum import (
    COMMENT,
    KEY,
    PROPERTY,
    check_onnx,
    check_openvino,
    seal_onnx,
    strip_checksum,
)
from cliqa.deploy.onnx.file import OnnxModel, load_proto, read_metadata
from cliqa.deploy.onnx.graph import load_graph, onnx_forward, save_graph
from cliqa.utils.archive import LENGTH
from cliqa.utils.errors import ArtifactError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ABOUT = '{"format": 1, "names": ["a"], "classes": [], "channels": 3}'


@pytest.fixture
def proto() -> Any:
    """Return a model that means its images, with a description."""
    helper = onnx.helper
    images = helper.make_tensor_value_info("images", 1, ["batch", 3, 4, 4])
    output = helper.make_tensor_value_info("output", 1, ["batch"])
    weight = onnx.numpy_helper.from_array(np.array([0.5], np.float32), "weight")
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "weight"], ["output"]),
    ]
    graph = helper.make_graph(nodes, "mean", [images], [output], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    made.metadata_props.add(key="cliqa", value=ABOUT)
    return made


@pytest.fixture
def file(proto: Any, tmp_path: Path) -> Path:
    save_graph(proto, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_a_sealed_file_is_an_onnx_file_for_all(file: Path) -> None:
    images = torch.rand(2, 3, 4, 4)
    expected = 0.5 * images.mean((1, 2, 3))
    torch.testing.assert_close(OnnxModel(file)(images), expected)
    torch.testing.assert_close(onnx_forward(file, 1)(images), expected)
    plain = onnx.load(str(file))
    onnx.checker.check_model(plain)
    assert [row.key for row in plain.metadata_props] == ["cliqa", KEY]
    assert read_metadata(file)["names"] == ["a"]


@pytest.mark.parametrize("read", [load_proto, load_graph, OnnxModel])
def test_a_flipped_bit_is_an_error(file: Path, read: Callable[[Path], Any]) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"m\.onnx: damaged: its content does not match its ch"):
        read(file)


def test_every_flipped_bit_is_found(file: Path) -> None:
    content = file.read_bytes()
    check_onnx(content, file)
    for place in range(len(content)):
        for bit in range(8):
            bits = bytearray(content)
            bits[place] ^= 1 << bit
            with pytest.raises(ArtifactError, match="damaged"):
                check_onnx(bytes(bits), file)


def test_files_without_a_checksum_are_read(proto: Any, file: Path) -> None:
    plain = proto.SerializeToString()
    file.write_bytes(plain)
    assert len(load_proto(file).graph.node) == 2
    assert read_metadata(file)["names"] == ["a"]
    check_onnx(b"", file)


def test_a_checksum_is_never_handed_on(file: Path) -> None:
    found = load_graph(file)
    assert [row.key for row in found.metadata_props] == ["cliqa"]
    before = file.read_bytes()
    save_graph(found, file)
    assert file.read_bytes() == before
    again = onnx.load(str(file))  # with the property
    assert seal_onnx(again) == before
    strip_checksum(again)
    assert again.SerializeToString() + before[-len(PROPERTY) - LENGTH :] == before


def test_what_to_do_with_a_file_that_another_program_changed_works(file: Path) -> None:
    proto = onnx.load(str(file))
    proto.producer_name = "another"
    onnx.save(proto, str(file))
    with pytest.raises(ArtifactError, match="another program has changed .*its property 'cliqa.ch"):
        load_proto(file)
    kept = [row for row in proto.metadata_props if row.key != KEY]
    del proto.metadata_props[:]
    proto.metadata_props.extend(kept)
    onnx.save(proto, str(file))
    assert load_proto(file).producer_name == "another"


@pytest.fixture
def openvino_file(file: Path, tmp_path: Path) -> Path:
    pytest.importorskip("openvino")
    from cliqa.deploy.openvino.backend import to_openvino  # noqa: PLC0415  needs the library

    to_openvino(file, tmp_path / "m.xml")
    return tmp_path / "m.xml"


@pytest.mark.parametrize("ending", [".xml", ".bin", ".json"])
def test_flipped_bits_of_openvinos_files_are_found(openvino_file: Path, ending: str) -> None:

    check_openvino(openvino_file)
    damaged = openvino_file.with_suffix(ending)
    content = damaged.read_bytes()
    assert content
    near_end = range(max(0, len(content) - 400), len(content))  # the checksums of an .xml
    for place in sorted({*range(0, len(content), 37), *near_end}):
        bits = bytearray(content)
        bits[place] ^= 1 << (place % 8)
        damaged.write_bytes(bits)
        with pytest.raises(ArtifactError, match=r"m\.\w+: damaged, or of another model than"):
            check_openvino(openvino_file)


def test_openvinos_files_of_two_models_are_not_mixed(
    openvino_file: Path, proto: Any, tmp_path: Path
) -> None:
    from cliqa.deploy.openvino.backend import OpenVinoModel, to_openvino  # noqa: PLC0415

    images: Tensor = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(OpenVinoModel(openvino_file)(images), 0.5 * images.mean((1, 2, 3)))
    proto.graph.initializer[0].raw_data = np.array([0.25], np.float32).tobytes()
    save_graph(proto, tmp_path / "other.onnx")
    to_openvino(tmp_path / "other.onnx", tmp_path / "other.xml")
    (tmp_path / "other.bin").replace(openvino_file.with_suffix(".bin"))
    with pytest.raises(ArtifactError, match=r"m\.bin: damaged, or of another model than m\.xml"):
        OpenVinoModel(openvino_file)


def test_openvinos_files_without_a_description_or_a_checksum_are_read(openvino_file: Path) -> None:

    from cliqa.deploy.openvino.backend import OpenVinoModel  # noqa: PLC0415

    openvino_file.with_suffix(".json").unlink()
    assert OpenVinoModel(openvino_file).metadata == {}
    openvino_file.write_bytes(openvino_file.read_bytes().partition(COMMENT)[0])
    openvino_file.with_suffix(".json").write_text('{"precision": "bf16"}')
    assert OpenVinoModel(openvino_file).metadata == {"precision": "bf16"}
