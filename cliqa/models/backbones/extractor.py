"""Feature extraction with pretrained networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from cliqa.config.suggest import closest
from cliqa.models.backbones.downloads import file_given_as
from cliqa.models.backbones.torchvision_backbone import TorchvisionBackbone, layer_names
from cliqa.models.build import build_model
from cliqa.models.outputs import as_vector, checked_outputs, last_output
from cliqa.models.quality_model import QualityModel
from cliqa.models.weights.weights import load_weights
from cliqa.utils.errors import ConfigError, ModelError


class FeatureExtractor(nn.Module):
    """Images (B, 3, H, W) -> feature vectors (B, D), without gradients, in evaluation mode.

    Args:
        model: A backbone, or a model with ``extract_feat`` (mmpretrain's) or `features` (ours).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.eval()

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, D): the last of several outputs, the mean of a map.

        Raises:
            ModelError: The output is neither a map nor a vector.
        """
        if isinstance(self.model, QualityModel):
            return self.model.features(images)
        extract: Any = getattr(self.model, "extract_feat", None)
        if extract is None:
            outputs = checked_outputs(self.model(images), self.model, images)
            return as_vector(outputs[-1], self.model, images)
        source = getattr(self.model, "backbone", self.model)
        return as_vector(last_output(extract(images), type(source).__name__), source, images)

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Stay in evaluation mode, for any argument."""
        super().train(False)
        return self


def build_extractor(
    arch: str | Mapping[str, Any], checkpoint: str | Path | None = None
) -> FeatureExtractor:
    """Build a pretrained feature extractor.

    Args:
        arch: One of torchvision's models by name (``"resnet50"``): the mean of the last map, or a
            vision transformer's class token. Or the config of a backbone, or of a model with
            backbone and neck, whose head is left out.
        checkpoint: A file of weights; wrappers' prefixes and a head are ignored. None: for a name
            torchvision's own weights, which are downloaded on first use; a config must then set
            its weights (``pretrained``, ``weights`` or ``init_cfg``).

    Returns:
        The extractor: images (B, 3, H, W) -> features (B, D).

    Raises:
        ConfigError: A config is wrong, or has no weights and there is no checkpoint.
        CheckpointError: The checkpoint cannot be read safely.
        ModelError: The model is unknown, the download fails, or the weights do not fit.
    """
    if isinstance(arch, str):
        weights = "DEFAULT" if checkpoint is None else None
        with file_given_as("checkpoint"):
            model: nn.Module = TorchvisionBackbone(arch, [last_node(arch)], weights=weights)
    else:
        if checkpoint is None and not _names_weights(arch):
            raise ConfigError(
                "arch: the config has no weights, so the features would be random. Give a "
                "checkpoint, or set a file in it: pretrained='weights.pth'."
            )
        model = build_model(arch, "arch")
    if getattr(model, "head", None) is not None:
        model.head = None  # type: ignore[assignment]  # its weights need not be in the file
    if checkpoint is not None:
        load_weights(model, checkpoint)
    return FeatureExtractor(model)


def last_node(arch: str) -> str:
    """Return the name of the last layer of a torchvision model that gives maps.

    Args:
        arch: torchvision's name.

    Raises:
        ModelError: torchvision has no such model.

    >>> last_node("resnet18"), last_node("mobilenet_v3_small")
    ('layer4', 'features.12')
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if arch not in known:
        raise ModelError(f"arch: torchvision has no model '{arch}'.{closest(arch, known)}")
    try:
        with torch.device("meta"):  # the names alone, without memory and random numbers
            model = torchvision.models.get_model(arch, weights=None)
    except NotImplementedError:  # RegNets compute with tensors while they are built
        model = torchvision.models.get_model(arch, weights=None)
    return layer_names(model)[-1]


def _names_weights(config: object) -> bool:
    """Return whether a config, or a part of it, sets weights."""
    if isinstance(config, list | tuple):
        return any(_names_weights(item) for item in config)
    if not isinstance(config, Mapping):
        return False
    if config.get("type") == "Pretrained" or config.get("weights") or config.get("pretrained"):
        return True
    return any(_names_weights(value) for value in config.values())
