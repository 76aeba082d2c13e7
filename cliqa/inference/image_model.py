"""Trained models as functions of images: of a checkpoint, of an exported file, of a pretraining.

All have the members of `ImageModel`; `open_model` returns the right one for a path. Another kind of
file needs a class with these members, and a line in `open_model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from cliqa.config.trust import built_from, without_weights
from cliqa.deploy.backends import backend_of
from cliqa.engine.work_dir.checkpoints import as_run, deployed_of, find_checkpoint, read_state
from cliqa.engine.work_dir.saved_config import (
    OF_PRETRAINING,
    admit_config,
    check_form,
    image_parts,
    load_own_weights,
)
from cliqa.inference.execution.network import Executed
from cliqa.inference.execution.precision import FLOAT32, Execution
from cliqa.inference.exported_model import ExportedModel
from cliqa.models.build import build_model
from cliqa.pretraining.pairs import IMAGENET_MEAN, IMAGENET_STD
from cliqa.pretraining.projection import QualityProjection, feature_length
from cliqa.utils.device import resolve_device
from cliqa.utils.errors import CheckpointError

Steps = Sequence[Mapping[str, Any]]
"""The steps of a preprocessing, as in a config."""


class ImageModel(Protocol):
    """A trained model with the facts that prediction needs."""

    @property
    def path(self) -> Path:
        """The file that it was loaded from."""

    @property
    def names(self) -> list[str]:
        """The experiences that it has been trained on."""

    @property
    def classes(self) -> list[str]:
        """Its classes; empty if it predicts scores."""

    @property
    def channels(self) -> int:
        """Channels of its images: 3 (RGB) or 1 (grey)."""

    @property
    def eval_transform(self) -> Steps:
        """The preprocessing that it was trained with, as in a config."""

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The config's section of the data that it was trained on."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,), 0..1, higher = better, or logits (B, K), on the CPU.

        Args:
            images: (B, channels, H, W), preprocessed.
        """


class TorchModel:
    """A model that PyTorch computes.

    Attributes:
        module: The trained model itself, e.g. for its features.
        network: The network that predicts: for a run with a gate, all of its views and the gate.
        exact: The same model in float32; None if it is computed so anyway.
    """

    def __init__(
        self,
        path: Path,
        module: nn.Module,
        network: nn.Module,
        device: torch.device,
        execution: Execution,
    ) -> None:
        self.path, self.device = path, device
        self.module, self.network = module.to(device), network.to(device)
        self._executed = Executed(self.network, device, execution)
        self.exact: Callable[[Tensor], Tensor] | None = None
        if self._executed.name != "float32":
            self.exact = Executed(self.network, device, FLOAT32)

    @property
    def computed(self) -> str:
        """How it is computed: ``"float32"``, ``"compiled bfloat16"`` ..."""
        return self._executed.name

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) of preprocessed images (B, C, H, W), on the CPU."""
        return self._executed(images)


class CheckpointModel(TorchModel):
    """The model of a run's checkpoint.

    Raises:
        CheckpointError: The model takes features instead of images.
    """

    def __init__(
        self,
        path: Path,
        state: dict[str, Any],
        device: torch.device,
        execution: Execution = FLOAT32,
    ) -> None:
        self.scenario: Mapping[str, Any] = state["config"]["scenario"]
        features = self.scenario.get("feature_type")
        if features is not None:
            raise CheckpointError(
                f"{path}: its model was trained on the features '{features}' and takes no "
                "images. Train on images (scenario.feature_type=None) to predict them."
            )
        if "eval_transform" not in self.scenario:  # one of Avalanche's benchmarks
            raise CheckpointError(
                f"{path}: its benchmark brought transforms of its own, which no image file goes "
                "through. Train with scenario.eval_transform=[dict(type='...'), ...] to predict "
                "images."
            )
        parts = image_parts(state, path)
        self.names: list[str] = parts["names"]
        self.classes: list[str] = parts["classes"]
        self.channels: int = parts["channels"]
        self.eval_transform: Steps = parts["eval_transform"]
        super().__init__(path, *deployed_of(state), device, execution)

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) of preprocessed images (B, C, H, W), on the CPU.

        Raises:
            CheckpointError: The file names classes, and its network gives scores.
        """
        outputs = super().__call__(images)
        if self.classes and outputs.ndim == 1:
            raise CheckpointError(
                f"{self.path}: damaged: it names {len(self.classes)} classes, and its network "
                "gives a score of each image. Use another checkpoint of the run."
            )
        return outputs


class ZeroShotModel(TorchModel):
    """The encoder of a pretraining with its two anchors: it scores images without any label."""

    names: ClassVar[list[str]] = []
    classes: ClassVar[list[str]] = []
    channels = 3
    scenario: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        path: Path,
        state: dict[str, Any],
        device: torch.device,
        execution: Execution = FLOAT32,
    ) -> None:
        projection = _projection(state, path)
        super().__init__(path, projection, _ProjectionScores(projection), device, execution)
        data = state["config"]["pretrain"].get("data") or {}
        mean, std = data.get("mean", IMAGENET_MEAN), data.get("std", IMAGENET_STD)
        self.eval_transform: Steps = [
            {"type": "ToTensor"},
            {"type": "Normalize", "mean": list(mean), "std": list(std)},
        ]


class _ProjectionScores(nn.Module):
    """A projection's scores as a network."""

    def __init__(self, projection: QualityProjection) -> None:
        super().__init__()
        self.projection = projection

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) of images (B, C, H, W)."""
        return self.projection.score(images)


def _projection(state: dict[str, Any], path: Path) -> QualityProjection:
    """Return the encoder, projection and anchors of a pretraining's checkpoint."""
    config, weights = state["config"], state["pretraining"]["model"]
    with built_from(path):
        encoder = build_model(without_weights(config["model"]))
    size = (config["pretrain"].get("data") or {}).get("crop_size", 224)
    projection = QualityProjection(
        encoder,
        weights["anchors"],
        feature_length(encoder, size),
        **(config["pretrain"].get("projection") or {}),
    )
    load_own_weights(projection, weights, path)
    projection.eval()
    return projection


def open_model(
    path: str | Path, device: torch.device, execution: Execution = FLOAT32
) -> ImageModel:
    """Return the model of a run, a checkpoint, a shared model or an exported file.

    Args:
        path: A work_dir, a checkpoint, the folder of a shared model, or an exported file
            (``.onnx``, ``.xml``).
        device: Where to compute. An ``.xml`` is computed on the CPU.
        execution: How; an exported file is computed as it was exported.

    Raises:
        ArtifactError: The exported file is missing, damaged, or not one of this package's.
        CheckpointError: There is no model that takes images.
        ConfigError: The model cannot be executed so.
    """
    if backend_of(path):
        return ExportedModel(path, str(device), execution)
    checkpoint = find_checkpoint(path)
    return model_from_state(checkpoint, read_state(checkpoint), device, execution)


def open_on(
    source: str | Path, device: str, execution: Execution = FLOAT32
) -> tuple[ImageModel, torch.device]:
    """Return a model and the device of its images, for a device as a command line names it.

    Args:
        source: See `open_model`.
        device: See `resolve_device`; of an exported file, whose images lie in the CPU's memory,
            `cliqa.deploy.onnx.session.providers_of`.
        execution: How.

    Raises:
        CliqaError: The model, the device or the execution is wrong.
    """
    if backend_of(source):
        return ExportedModel(source, device, execution), torch.device("cpu")
    target = resolve_device(device)
    return open_model(source, target, execution), target


def model_from_state(
    path: Path, state: dict[str, Any], device: torch.device, execution: Execution = FLOAT32
) -> CheckpointModel | ZeroShotModel:
    """Return the model of a checkpoint that has been read.

    Raises:
        CheckpointError: The model takes no images, or the checkpoint is damaged.
        ConfigError: The model cannot be executed so.
    """
    if "pretraining" in state:
        check_form(state, path, OF_PRETRAINING)
        admit_config(state["config"], path)
        return ZeroShotModel(path, state, device, execution)
    return CheckpointModel(path, as_run(state, path), device, execution)
