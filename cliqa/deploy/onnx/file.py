"""ONNX files with a description of their model: reading, describing and running them.

The description is JSON under the key ``cliqa`` of the file's own metadata:

=====================  ==========================================================================
``format``             1
``version``            of the package that wrote it
``names``              the experiences that the model has learnt
``classes``            the classes that it tells apart; empty where it gives scores
``channels``           of its images: 3 (RGB) or 1 (grey)
``size``               [H, W] of its images; null for any
``eval_transform``     the preprocessing, as in a config
``scenario``           the section of the data it learnt
``precision``          ``"fp32"`` and so on
``parameters``         how many numbers the network has learnt
``macs`` ``macs_size`` multiply-accumulates of one image, null if unknown, and its [H, W]
=====================  ==========================================================================

Other keys may stand beside them: the config's ``model``, ``experiences_learnt``,
``checkpoint_sha256``. A checksum of the whole file follows (`cliqa.deploy.file_checksum`). The
input is ``images``, float32 (B, C, H, W), and the output ``output``: scores (B,) or logits (B, K).

A file whose description has ``input="pixels"`` holds its preprocessing too. Its input is
``pixels``, uint8 (B, H, W, 3) of any size, and its output ``score`` (B,) on the description's
``scale`` (``{"low", "high", "higher_is_better"}``), or of a classifier ``probability`` (B, K).

Torch is imported when tensors are computed, so that arrays are scored without it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import numpy as np

from cliqa.datasets.labels.scale import to_unit
from cliqa.deploy.description import check_description
from cliqa.deploy.file_checksum import check_onnx, strip_checksum
from cliqa.deploy.libraries import library
from cliqa.deploy.onnx.session import damaged, first_line, open_session
from cliqa.deploy.onnx.tensors import check_tensors
from cliqa.transforms.elongated import check_weights
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

KEY = "cliqa"
"""The property of a file that holds its description."""

FORMAT = 1

INPUT = "images"
PIXELS = "pixels"
OUTPUT = "output"


def load_proto(path: str | Path) -> ModelProto:
    """Return an ONNX file's content, an ``onnx.ModelProto``.

    Raises:
        ArtifactError: The file is missing, no ONNX file, or one with tensors elsewhere than in its
            folder.
        ConfigError: The package onnx is not installed.
    """
    path = _existing(path)
    onnx = library("onnx")
    check_onnx(path.read_bytes(), path)
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # noqa: BLE001  protobuf's DecodeError has no stable place
        raise damaged(path, error) from error
    if not proto.graph.node or not proto.graph.output:  # what protobuf reads into any few bytes
        raise damaged(path, "it has no graph")
    strip_checksum(proto)
    check_tensors(proto, path)
    return proto


def read_metadata(path: str | Path) -> dict[str, Any]:
    """Return the description of an ONNX file.

    Raises:
        ArtifactError: The file is missing, damaged, or not one of this package's.
        ConfigError: The package onnx is not installed.
    """
    return parse_metadata({row.key: row.value for row in load_proto(path).metadata_props}, path)


def parse_metadata(properties: Mapping[str, str], path: str | Path) -> dict[str, Any]:
    """Return the description among a file's properties.

    Raises:
        ArtifactError: There is no description, or one of another format.
        TrustError: It asks for more than the description of an untrusted file may.
    """
    if KEY not in properties:
        raise ArtifactError(
            f"{path}: an ONNX file that does not state which images it takes. Write it with "
            "cliqa compress export CHECKPOINT."
        )
    try:
        found = json.loads(properties[KEY])
        version = found["format"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: its description cannot be read ({error}). Export the checkpoint again."
        ) from error
    if version != FORMAT:
        raise ArtifactError(
            f"{path}: described in format {version!r}, and this version of cliqa reads {FORMAT}. "
            "Export the checkpoint again, or update cliqa."
        )
    return check_description(found, path)


def describe(proto: ModelProto, metadata: Mapping[str, Any]) -> None:
    """Put a description into an ``onnx.ModelProto``.

    Raises:
        ConfigError: A value is none that JSON can hold.
    """
    try:
        text = json.dumps({**metadata, "format": FORMAT}, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the model's description cannot be written as JSON ({error}). Use numbers, texts and "
            "lists in scenario.eval_transform and its like."
        ) from error
    kept = [(row.key, row.value) for row in proto.metadata_props if row.key != KEY]
    del proto.metadata_props[:]
    for key, value in [*kept, (KEY, text)]:
        proto.metadata_props.add(key=key, value=value)


class OnnxModel:
    """An ONNX file, computed by ONNX Runtime.

    Args:
        path: A file that this package wrote.
        threads: Threads of a pass; None for `compute_threads`.
        device: Where it is computed; see `cliqa.deploy.onnx.session.providers_of`.

    Attributes:
        path: The file.
        metadata: Its description.
        takes_pixels: It holds its preprocessing, and takes 8-bit pixels.

    Raises:
        ArtifactError: The file is missing, damaged, or not one of this package's.
        ConfigError: The package onnxruntime is not installed.
    """

    def __init__(self, path: str | Path, threads: int | None = None, device: str = "cpu") -> None:
        self.path = _existing(path)
        content = self.path.read_bytes()
        check_onnx(content, self.path)
        self._session = open_session(content, self.path, threads, device)
        try:
            properties = self._session.get_modelmeta().custom_metadata_map
            self._input, self._shape = [(i.name, i.shape) for i in self._session.get_inputs()][0]
        except (UnicodeDecodeError, IndexError) as error:  # of names; of a file without an input
            raise damaged(self.path, error) from error
        self.metadata = parse_metadata(properties, self.path)
        self.takes_pixels = self.metadata.get("input") == PIXELS

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K), float32, of images (B, C, H, W).

        A file that takes pixels gets whole images in 0..1; its scores are of 0..1 too.

        Raises:
            ModelError: The images have other channels or another size than the file takes.
        """
        import torch  # noqa: PLC0415  arrays are scored without it

        values = images.detach().float().cpu()
        if not self.takes_pixels:
            return torch.from_numpy(self.run(values.contiguous().numpy())).float()
        pixels = (255 * values).round().to(torch.uint8).permute(0, 2, 3, 1)
        found = self.run(pixels.contiguous().numpy())
        scale = self.metadata["scale"]
        if scale is None:
            return torch.from_numpy(found).clamp(min=1e-30).log()
        low, high, higher = scale["low"], scale["high"], scale["higher_is_better"]
        return torch.from_numpy(to_unit(found, (low, high), higher))

    def run(self, images: np.ndarray) -> np.ndarray:
        """Return the first output of images as the file itself takes them.

        Raises:
            ModelError: They have other channels, or another size or type.
        """
        if self.takes_pixels:
            check_weights(self.metadata.get("eval_transform") or [], *images.shape[1:3])
        else:
            self._check(images.shape)
        try:
            found: np.ndarray = self._session.run(None, {self._input: images})[0]
        except Exception as error:  # noqa: BLE001  its own errors have no common class
            raise ModelError(
                f"{self.path}: fails on images of shape {tuple(images.shape)}: "
                f"{first_line(error)}. Export the checkpoint again with cliqa compress export."
            ) from error
        return found

    def _check(self, shape: tuple[int, ...]) -> None:
        """Refuse images that the file does not take."""
        if len(shape) != 4:
            raise ModelError(f"{self.path}: takes images (B, C, H, W), got shape {tuple(shape)}.")
        _, channels, *size = self._shape
        if shape[1] != channels:
            raise ModelError(f"{self.path}: takes images of {channels} channel(s), got {shape[1]}.")
        for wanted, given in zip(size, shape[2:], strict=True):
            if isinstance(wanted, int) and wanted != given:
                raise ModelError(
                    f"{self.path}: takes images of {size[0]} x {size[1]} pixels (height x width), "
                    f"got {shape[2]} x {shape[3]}. Resize or crop them to that size, or export "
                    "with --dynamic-size."
                )


def _existing(path: str | Path) -> Path:
    """Return the path of a file that exists."""
    path = Path(path)
    if not path.is_file():
        raise ArtifactError(
            f"{path}: no such file. Write it with cliqa compress export CHECKPOINT --out "
            f"{quote(str(path))}"
        )
    return path
