"""CLIP's image tower (Radford et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cliqa.models.language.clip_files import import_clip, load_tower, sizes_of
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError


@MODELS.register_module()
class CLIPVision(nn.Module):
    """A backbone: images -> CLIP's features (B, D); needs the extra ``cliqa[clip]``.

    Images must have the model's own size (224 pixels) and be normalised with CLIP's mean and
    deviation: ``mean=[0.481, 0.458, 0.408], std=[0.269, 0.261, 0.276]``.

    Args:
        arch: Which model; see `CLIPText`.
        pretrained: A local file; see `CLIPText`.

    Raises:
        ConfigError: `arch` is unknown.
        ModelError: The package ``clip`` is missing, or the file does not fit.
        CheckpointError: The file cannot be read safely.
    """

    def __init__(
        self, arch: str | Mapping[str, Any] = "ViT-B/32", pretrained: str | Path | None = None
    ) -> None:
        super().__init__()
        sizes = sizes_of(arch)
        clip = import_clip("CLIPVision", "use a backbone of torchvision's, which needs none")
        width, self.size = sizes["vision_width"], sizes["image_resolution"]
        self.output_dim = sizes["embed_dim"]
        if isinstance(sizes["vision_layers"], int):
            self.visual = clip.model.VisionTransformer(
                self.size,
                sizes["vision_patch_size"],
                width,
                sizes["vision_layers"],
                width // 64,
                self.output_dim,
            )
        else:
            self.visual = clip.model.ModifiedResNet(
                sizes["vision_layers"], self.output_dim, width * 32 // 64, self.size, width
            )
        if pretrained is not None:
            load_tower(self.visual, pretrained, "visual.")

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (B, D) of images (B, 3, S, S), S being the model's size.

        Raises:
            ModelError: The images have another size.
        """
        if images.shape[1:] != (3, self.size, self.size):
            raise ModelError(
                f"CLIPVision takes images (B, 3, {self.size}, {self.size}), got shape "
                f"{tuple(images.shape)}. Add dict(type='Resize', size=({self.size}, {self.size})) "
                "to the transforms."
            )
        found: torch.Tensor = self.visual(images)
        return found
