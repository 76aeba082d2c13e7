"""torchvision's transforms (v2) under their own names; `ToTensor` replaces a deprecated one."""

from __future__ import annotations

import inspect

import torch
from torch import nn
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from cliqa.registry import TRANSFORMS

NOT_FOR_ONE_IMAGE = frozenset({"Transform", "Lambda", "MixUp", "CutMix", "ToTensor"})
"""Left out: the base class, those that take a function or mix a batch, and the deprecated one."""


def _is_image_transform(name: str, value: object) -> bool:
    """Return whether a public object of torchvision is a transform of one image."""
    return (
        inspect.isclass(value) and issubclass(value, v2.Transform) and name not in NOT_FOR_ONE_IMAGE
    )


TRANSFORMS.add_upstream(v2, _is_image_transform, "torchvision")
TRANSFORMS.for_files = lambda _: True  # transforms only compute


@TRANSFORMS.register_module()
class ToTensor(nn.Module):
    """Turn 8-bit levels 0..255 into float32 0..1; a float image keeps its values."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Convert an image (..., C, H, W) to float32."""
        return F.to_dtype(image, torch.float32, scale=True)
