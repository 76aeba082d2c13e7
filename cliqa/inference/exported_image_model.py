"""An exported model as prediction needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from cliqa.deploy.description import scenario_of
from cliqa.deploy.onnx.file import OnnxModel
from cliqa.deploy.openvino.backend import OpenVinoModel
from cliqa.utils.errors import ArtifactError

NEEDED = ("names", "classes", "channels", "eval_transform", "scenario")
"""What a file must say about itself for images to be scored with it."""


class ExportedImageModel:
    """The model of an exported file, computed on the CPU (an `ImageModel`).

    Args:
        path: A file that ``tools/compress.py`` wrote: an ONNX file, computed by ONNX Runtime, or an
            ``.xml``, by OpenVINO.

    Attributes:
        metadata: What the file says about itself.
        backend: ``"onnxruntime"`` or ``"openvino"``.

    Raises:
        ArtifactError: The file is missing, damaged, or says too little about itself.
        ConfigError: The package that computes it is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        of_openvino = self.path.suffix == ".xml"
        self.backend = "openvino" if of_openvino else "onnxruntime"
        self._model = OpenVinoModel(path) if of_openvino else OnnxModel(path)
        self.metadata = self._model.metadata
        missing = [key for key in NEEDED if self.metadata.get(key) is None]
        if missing:
            raise ArtifactError(
                f"{path}: does not say its {', '.join(missing)}, which prediction needs. Export a "
                "run's checkpoint with tools/compress.py export."
            )
        self.names: list[str] = self.metadata["names"]
        self.classes: list[str] = self.metadata["classes"]
        self.channels: int = self.metadata["channels"]
        self.eval_transform: Sequence[Mapping[str, Any]] = self.metadata["eval_transform"]

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The section of the data that it was trained on.

        Raises:
            TrustError: It asks for more than that of an untrusted file may.
        """
        return scenario_of(self.metadata, self.path)

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) of preprocessed images (B, C, H, W).

        Raises:
            ModelError: The file takes images of one size, and these have another.
        """
        return self._model(images)
