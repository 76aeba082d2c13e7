from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.deploy.onnx.file import load_proto
from cliqa.deploy.onnx.graph import load_graph
from cliqa.deploy.onnx.tensors import check_tensors
from cliqa.utils.errors import ArtifactError

onnx = pytest.importorskip("onnx")


def tensor(location: str | None, dims: tuple[int, ...] = (4,), **external: object) -> Any:
    """Return a tensor of floats that lies in another file, or here."""
    found = onnx.TensorProto(name="w", data_type=1, dims=dims)
    if location is None:
        found.raw_data = np.arange(4, dtype=np.float32).tobytes()
        return found
    found.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **external}.items():
        found.external_data.add(key=key, value=str(value))
    return found


def written(path: Path, *tensors: Any, nodes: tuple[Any, ...] = ()) -> Path:
    helper = onnx.helper
    x, y = (helper.make_tensor_value_info(name, 1, (4,)) for name in "xy")
    add = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph([*nodes, add], "g", [x], [y], list(tensors))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "in"
    inside.mkdir()
    for path in (tmp_path / "secret.bin", inside / "w.bin"):
        path.write_bytes(np.arange(4, dtype=np.float32).tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")
    return inside


READERS: list[Callable[[Path], Any]] = [load_proto, load_graph]


@pytest.mark.parametrize("read", READERS)
def test_tensors_beside_the_file_are_read(folder: Path, read: Callable[[Path], Any]) -> None:
    model = read(written(folder / "m.onnx", tensor("w.bin")))
    if read is load_graph:
        values = onnx.numpy_helper.to_array(model.graph.initializer[0])
        np.testing.assert_array_equal(values, np.arange(4.0))


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/etc/hostname", "link.bin", "a/../../secret.bin", "..\\secret.bin", "C:\\a"],
)
def test_tensors_elsewhere_are_refused(
    folder: Path, location: str, read: Callable[[Path], Any]
) -> None:
    path = written(folder / "m.onnx", tensor(location))
    with pytest.raises(ArtifactError, match=r"m\.onnx: its tensor 'w' lies outside the file's"):
        read(path)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (tensor("none.bin"), "lies in 'none.bin', which is missing"),
        (tensor("w.bin", (5,)), "is longer than its part of 'w.bin'"),
        (tensor("w.bin", offset=8), "is longer than its part"),
        (tensor("w.bin", length=12), "is longer than its part"),
        (tensor("w.bin", offset="much"), "is longer than its part"),
        (tensor("w.bin", offset=-4), "is longer than its part"),
        (tensor(None, (10**5, 10**6)), "has 16 bytes and declares 400000000000"),
        (tensor(None, (-4,)), r"has the shape \[-4\]"),
    ],
)
def test_sizes_that_are_not_so_are_refused(folder: Path, found: Any, message: str) -> None:
    with pytest.raises(ArtifactError, match=f"'w' {message}.* Export the model again, as one file"):
        load_graph(written(folder / "m.onnx", found))


def test_one_file_read_many_times_over_is_refused(folder: Path) -> None:
    tensors = [tensor("w.bin") for _ in range(3)]
    for number, found in enumerate(tensors):
        found.name = f"w{number}"
    with pytest.raises(ArtifactError, match=r"reads w\.bin many times over"):
        load_graph(written(folder / "m.onnx", *tensors))


def test_tensors_in_attributes_and_inner_graphs_are_found(folder: Path) -> None:
    helper = onnx.helper
    constant = helper.make_node("Constant", [], ["w"], value=tensor("../secret.bin"))
    inner = helper.make_graph([constant], "i", [], [helper.make_tensor_value_info("w", 1, (4,))])
    branch = helper.make_node("If", ["x"], ["w"], then_branch=inner, else_branch=inner)
    for node in (constant, branch):
        path = written(folder / "m.onnx", nodes=(node,))
        with pytest.raises(ArtifactError, match="lies outside the file's folder"):
            check_tensors(onnx.load(str(path), load_external_data=False), path)
