"""The tensors of an ONNX file: where they lie and how large they are, checked before they are read.

A file may keep tensors in other files, which it names itself. An untrusted one may name any file of
the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from cliqa.utils.errors import ArtifactError

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

_EXTERNAL = 1
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element, by ONNX's number of its type; those that share bytes are left out."""


def check_tensors(model: ModelProto, path: str | Path) -> None:
    """Refuse tensors that lie outside the model's folder, or are not as large as declared.

    Raises:
        ArtifactError: There is one.
    """
    read: dict[Path, int] = {}
    for tensor in _tensors(model):
        if min(tensor.dims, default=0) < 0:
            raise _refused(path, tensor, f"has the shape {list(tensor.dims)}")
        size = math.prod(tensor.dims) * _ITEM_BYTES.get(tensor.data_type, 0)
        if tensor.data_location == _EXTERNAL:
            file, count = _check_external(tensor, Path(path), size)
            read[file] = read.get(file, 0) + count
        elif tensor.raw_data and size and len(tensor.raw_data) != size:
            raise _refused(path, tensor, f"has {len(tensor.raw_data)} bytes and declares {size}")
    for file, count in read.items():
        if count > 2 * file.stat().st_size:
            raise ArtifactError(f"{path}: reads {file.name} many times over. Export it again.")


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model, those in attributes and in graphs within graphs too."""
    graphs, nodes = [model.graph], [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
            nodes.extend(graph.node)
            continue
        for attribute in nodes.pop().attribute:
            yield from (attribute.t, *attribute.tensors)
            graphs.extend([attribute.g] if attribute.HasField("g") else [])
            graphs.extend(attribute.graphs)


def _check_external(tensor: TensorProto, path: Path, size: int) -> tuple[Path, int]:
    """Return the file that a tensor lies in, and how many bytes of it are read.

    Raises:
        ArtifactError: It is outside the model's folder, missing, or too short.
    """
    values = {row.key: row.value for row in tensor.external_data}
    location = values.get("location", "")
    places = (PurePosixPath(location), PureWindowsPath(location))
    inside = bool(location) and not any(
        place.is_absolute() or place.drive or place.root or ".." in place.parts for place in places
    )
    folder = path.parent.resolve()
    file = path.parent / location if inside else path
    if not inside or not file.resolve().is_relative_to(folder):
        raise _refused(path, tensor, f"lies outside the file's folder ('{location}')")
    if not file.is_file():
        raise _refused(path, tensor, f"lies in '{location}', which is missing")
    try:
        offset = int(values.get("offset", 0))
        count = int(values.get("length", size))
    except ValueError:
        offset = count = -1
    if min(offset, count) < 0 or count < size or offset + count > file.stat().st_size:
        raise _refused(path, tensor, f"is longer than its part of '{location}'")
    return file, count


def _refused(path: str | Path, tensor: TensorProto, why: str) -> ArtifactError:
    """Return the error of a file that is not to be read."""
    return ArtifactError(
        f"{path}: its tensor '{tensor.name}' {why}. Export the model again, as one file."
    )
