"""A trained model as prediction needs it, whatever kind of file it is from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from cliqa.engine.work_dir.checkpoints import as_run, deployed_of, find_checkpoint
from cliqa.engine.work_dir.saved_config import OF_PRETRAINING, admit_config, check_form, image_parts
from cliqa.inference.exported_image_model import ExportedImageModel
from cliqa.inference.zero_shot import ZeroShotModel
from cliqa.utils.checkpoint import load_checkpoint
from cliqa.utils.errors import CheckpointError


class ImageModel(Protocol):
    """What `Predictor` asks of a model.

    Another kind of file needs a class with these members, and a line in `open_model`.
    """

    @property
    def path(self) -> Path:
        """The file that it is from."""

    @property
    def names(self) -> list[str]:
        """The experiences that it has been trained on."""

    @property
    def classes(self) -> list[str]:
        """The classes that it tells apart; empty where it gives scores."""

    @property
    def channels(self) -> int:
        """Channels of the images that it takes: 3 (RGB) or 1 (grey)."""

    @property
    def eval_transform(self) -> Sequence[Mapping[str, Any]]:
        """The preprocessing that it was trained with, as in a config."""

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The section of the data that it was trained on."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,), 0..1, higher = better, or logits (B, K), on the CPU.

        Args:
            images: (B, channels, H, W), preprocessed.
        """


class CheckpointModel:
    """The model of a run's checkpoint, computed by PyTorch; see `ImageModel`.

    Args:
        checkpoint: A run's checkpoint.
        state: Its content.
        device: Where to compute.

    Attributes:
        module: The model as training left it, to look into.
        network: What predicts: all views with their gate, where the run has one.

    Raises:
        CheckpointError: The model takes no images.
    """

    def __init__(self, checkpoint: Path, state: dict[str, Any], device: torch.device) -> None:
        self.path, self.device = checkpoint, device
        self.scenario: Mapping[str, Any] = state["config"]["scenario"]
        features = self.scenario.get("feature_type")
        if features is not None:
            raise CheckpointError(
                f"{self.path}: its model was trained on the features '{features}' and takes no "
                "images. Train on images (scenario.feature_type=None) to predict them."
            )
        parts = image_parts(state, checkpoint)
        self.names: list[str] = parts["names"]
        self.classes: list[str] = parts["classes"]
        self.channels: int = parts["channels"]
        self.eval_transform: Sequence[Mapping[str, Any]] = parts["eval_transform"]
        self.module, self.network = deployed_of(state)
        self.module.to(device)
        self.network.to(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) of preprocessed images (B, C, H, W)."""
        found: Tensor = self.network(images.to(self.device))
        return found.float().cpu()


def is_exported(path: str | Path) -> bool:
    """Tell by its name whether a file is an exported model.

    >>> is_exported("work_dirs/demo/model.onnx"), is_exported("work_dirs/demo")
    (True, False)
    """
    return Path(path).suffix in (".onnx", ".xml")


def open_model(path: str | Path, device: torch.device) -> ImageModel:
    """Return the model that a file holds.

    Args:
        path: A checkpoint, a work_dir, or an exported file (``.onnx``, ``.xml``), which is
            computed on the CPU.
        device: Where to compute.

    Raises:
        ArtifactError: The ONNX file is missing, damaged, or not one of this package's.
        CheckpointError: There is no model that takes images.
    """
    if is_exported(path):
        return ExportedImageModel(path)
    found = find_checkpoint(path)
    return model_in(found, load_checkpoint(found), device)


def model_in(
    checkpoint: Path, state: dict[str, Any], device: torch.device
) -> CheckpointModel | ZeroShotModel:
    """Return the model of a checkpoint that has been read; the arguments are the models' own."""
    if "pretraining" in state:
        check_form(state, checkpoint, OF_PRETRAINING)
        admit_config(state["config"], checkpoint)
        return ZeroShotModel(checkpoint, state, device)
    return CheckpointModel(checkpoint, as_run(state, checkpoint), device)
