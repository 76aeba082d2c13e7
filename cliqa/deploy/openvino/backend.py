"""OpenVINO: models as its own files, in float32, bfloat16 or int8, and how they run."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cliqa.deploy.conversion import ConversionReport
from cliqa.deploy.description import check_description
from cliqa.deploy.file_checksum import check_onnx, check_openvino, seal_openvino
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.file import KEY
from cliqa.deploy.onnx.graph import get_metadata, load_graph
from cliqa.deploy.onnx.score_head import LAYERS, GraphNode, score_head
from cliqa.deploy.onnx.session import first_line
from cliqa.deploy.openvino.signal_stack import kept_signal_stack
from cliqa.utils.device import compute_threads
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError
from cliqa.utils.io import write_json
from cliqa.utils.locks import temporary_folder

if TYPE_CHECKING:
    from openvino import Model

_SUFFIXES = (".xml", ".onnx")
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32", "int8-bf16": "bf16"}
"""The type in which OpenVINO computes everything but integers, by the precision of a file."""

LENGTHS = 4
"""Lengths of a batch that a model is compiled for; others run as any length does."""

FULL_DISK = 2**20
"""With fewer bytes left on the disk, an unexplained failure of OpenVINO means a full disk."""


def to_openvino(
    source: str | Path, target: str | Path, precision: str = "fp32"
) -> ConversionReport:
    """Write an ONNX file as OpenVINO's, with weights in float32.

    Args:
        source: An ONNX file in float32.
        target: The ``.xml`` file to write.
        precision: ``"fp32"``; or ``"bf16"``: the same file, which `OpenVinoModel` computes in
            bfloat16. That is fast on processors that can, and up to four times slower on others.

    Raises:
        ArtifactError: `source` cannot be read, by onnx or by OpenVINO.
        ConfigError: An argument is wrong, or OpenVINO is not installed.
    """
    if precision not in ("fp32", "bf16"):
        raise ConfigError(
            f"precision must be 'fp32' or 'bf16', got {precision!r}. For int8 there is "
            "quantize_openvino, which needs images."
        )
    check_name(target)
    metadata = get_metadata(load_graph(source), source)
    size = write_openvino(read_openvino(source), Path(target), metadata, precision)
    return ConversionReport(Path(target), precision, Path(source).stat().st_size, size)


class OpenVinoModel:
    """An OpenVINO file as a function.

    Args:
        path: The ``.xml`` file; its description is the ``.json`` beside it, if any.
        threads: Threads of the CPU; None for `compute_threads`.

    Attributes:
        metadata: The description; empty if there is no ``.json``.

    Raises:
        ArtifactError: A file is missing or damaged.
        ConfigError: The precision in the description is unknown, or OpenVINO is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None) -> None:
        self.path = Path(path)
        check_files(self.path)  # first: it compares the checksum of the .json too
        self.metadata = _read_sidecar(self.path)
        model = read_openvino(self.path)
        precision = self.metadata.get("precision", "fp32")
        if not isinstance(precision, str) or precision not in HINTS:
            raise ConfigError(
                f"{self.path}: precision must be one of {', '.join(map(repr, HINTS))}, got "
                f"{precision!r}. Write the model again."
            )
        try:
            self._run = openvino_forward(model, threads, HINTS[precision])
        except (RuntimeError, UnicodeDecodeError) as error:  # UnicodeDecodeError: of names
            raise ArtifactError(
                f"{self.path}: OpenVINO cannot compile it: {first_line(error)}. Export it again."
            ) from error

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K), float32 on the CPU, of images (B, C, H, W).

        Raises:
            ModelError: The images have not the size that the model takes.
        """
        try:
            return self._run(images)
        except (RuntimeError, UnicodeDecodeError) as error:
            raise ModelError(
                f"{self.path}: fails on images of shape {tuple(images.shape)}: {first_line(error)}."
                " Give images of the size that it was exported for."
            ) from error


def openvino_nodes(model: Model) -> dict[str, GraphNode]:
    """Return the nodes of an ``openvino.Model`` by name."""
    nodes: dict[str, GraphNode] = {}
    constant: set[str] = set()
    for node in model.get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_type_name()
        sources = [value.get_node().get_friendly_name() for value in node.input_values()]
        if kind == "Constant" or (sources and constant.issuperset(sources)):
            constant.add(name)
        computed = tuple(source for source in sources if source not in constant)
        weighted = kind in LAYERS and not constant.isdisjoint(sources[:2])
        nodes[name] = GraphNode(kind, computed, weighted)
    return {name: node for name, node in nodes.items() if name not in constant}


def openvino_head(model: Model) -> list[str]:
    """Return the names of the nodes that are the head of an ``openvino.Model``, in order."""
    nodes = openvino_nodes(model)
    last = [name for node in nodes.values() if node.kind == "Result" for name in node.inputs]
    head = score_head(nodes, last)
    return [name for name in nodes if name in head]


def openvino_forward(
    model: Model,
    threads: int | None = None,
    hint: str = "f32",
    from_file: bool = True,
) -> Callable[[Tensor], Tensor]:
    """Return an ``openvino.Model`` as a function from images to its first output, in float32.

    Where the length of the batch alone is free, it is compiled anew for each of the first
    `LENGTHS` lengths: layouts are then chosen beforehand, which saves small networks
    5 to 25 % of the time.

    Args:
        model: The model.
        threads: Threads of the CPU; None for `compute_threads`.
        hint: The type to compute in: ``"f32"`` or ``"bf16"``.
        from_file: The model was read from a file. One that NNCF has just made holds Python's
            objects; its copies crash when OpenVINO's threads free them, so it is not copied.
    """
    openvino = library("openvino", "openvino")
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": compute_threads() if threads is None else threads,
    }
    with kept_signal_stack():
        core = openvino.Core()
        free = core.compile_model(model, "CPU", options)
    lengths = model.inputs[0].get_partial_shape()
    fixed_size = len(lengths) == 4 and lengths[0].is_dynamic and not lengths[-1].is_dynamic
    fixed_size = fixed_size and from_file
    compiled: dict[int, Any] = {}

    def of_batch(count: int) -> Any:  # noqa: ANN401  OpenVINO's CompiledModel
        """Return the model compiled for a batch's length, which is faster than for any."""
        if count not in compiled and fixed_size and len(compiled) < LENGTHS:
            try:
                own = model.clone()
                own.reshape({own.inputs[0]: [count, *list(lengths)[1:]]})
                with kept_signal_stack():
                    compiled[count] = core.compile_model(own, "CPU", options)
            except RuntimeError:  # some graph cannot be reshaped
                compiled[count] = free
        return compiled.get(count, free)

    def run(images: Tensor) -> Tensor:
        values = images.detach().float().cpu().contiguous().numpy()
        outputs = of_batch(len(values))(values)[0]
        return torch.from_numpy(outputs.copy()).float()  # the next pass writes into the same memory

    return run


def read_openvino(path: str | Path) -> Model:
    """Return a file as an ``openvino.Model``.

    Raises:
        ArtifactError: It is missing, damaged, or no model that OpenVINO can read.
    """
    openvino = library("openvino", "openvino")
    path = Path(path)
    check_files(path)
    try:
        if path.suffix == ".onnx":
            load_graph(path)  # refuses tensors that lie outside its folder
        with kept_signal_stack():
            return openvino.Core().read_model(str(path))
    except (RuntimeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path}: OpenVINO cannot read it: {first_line(error)}.") from error


def check_files(path: Path) -> None:
    """Refuse files of a model that are missing, or do not match their checksums if they have any.

    Raises:
        ArtifactError: One is.
    """
    if path.suffix not in _SUFFIXES:
        raise ArtifactError(
            f"{path}: its name must end in {' or '.join(_SUFFIXES)}. Write it with "
            "cliqa compress export."
        )
    needed = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    for file in needed:
        if not file.is_file():
            raise ArtifactError(f"{file}: no such file. An OpenVINO model is an .xml and a .bin.")
    if path.suffix == ".xml":
        check_openvino(path)
    else:
        check_onnx(path.read_bytes(), path)


def write_openvino(model: Model, target: Path, metadata: Mapping[str, str], precision: str) -> int:
    """Write a model and its description; the ``.xml`` comes last.

    Returns:
        Bytes of the three files.
    """
    with temporary_folder(target) as folder:
        new = folder / target.name
        _save(model, new, target)
        note = json.loads(metadata.get(KEY, "{}"))
        write_json(new.with_suffix(".json"), {**note, "precision": precision})
        seal_openvino(new)
        size = sum(path.stat().st_size for path in folder.iterdir())
        for ending in (".bin", ".json"):
            os.replace(new.with_suffix(ending), target.with_suffix(ending))
        os.replace(new, target)
    return size


def _save(model: Model, new: Path, target: Path) -> None:
    """Let OpenVINO write a model.

    Raises:
        ArtifactError: It fails for another reason than a full disk.
        OSError: The disk is full.
    """
    try:
        library("openvino", "openvino").save_model(model, str(new), compress_to_fp16=False)
    except RuntimeError as error:
        if shutil.disk_usage(new.parent).free < FULL_DISK:
            raise OSError(errno.ENOSPC, "No space left on device", str(target)) from error
        raise ArtifactError(f"{target}: OpenVINO cannot write it: {first_line(error)}.") from error


def _read_sidecar(path: Path) -> dict[str, Any]:
    """Return the description in the file beside a model."""
    sidecar = path.with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ArtifactError(f"{sidecar} is damaged ({error}). Write the model again.") from error
    return check_description(found, sidecar)


def check_name(target: str | Path) -> None:
    """Refuse a name that OpenVINO does not write.

    Raises:
        ConfigError: It does not end in ``.xml``.
    """
    if Path(target).suffix != ".xml":
        raise ConfigError(f"{target}: OpenVINO's files end in .xml. Name it so.")
