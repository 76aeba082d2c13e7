"""timm's networks in mmpretrain's wrapper, always with channels-first maps."""

from __future__ import annotations

from typing import Any

import torch

from cliqa.models.mmpretrain_bridge import import_mmpretrain
from cliqa.registry import MODELS

WRAPPER: Any = import_mmpretrain().module_dict["TIMMBackbone"]

CHANNELS_LAST = "NHWC"
"""timm's name for maps (B, h, w, C)."""


@MODELS.register_module()
class TIMMBackbone(WRAPPER):
    """mmpretrain's ``TIMMBackbone`` whose maps are always (B, C, h, w).

    timm's Swin transformers and a few others return (B, h, w, C), which necks and heads would
    read as h channels of maps w x C. The arguments and the names of the weights are those of
    mmpretrain's class.
    """

    instead = (
        "A vision transformer of timm returns tokens; use mmpretrain's 'VisionTransformer', or "
        "'TorchvisionBackbone' with nodes=['encoder']."
    )
    """Advice for outputs that are neither maps nor vectors."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return maps (B, C, h, w), or the network's other outputs, for images (B, 3, H, W)."""
        outputs = super().forward(x)
        return tuple(
            output.permute(0, 3, 1, 2) if self._is_channels_last(output, index) else output
            for index, output in enumerate(outputs)
        )

    def _is_channels_last(self, output: torch.Tensor, index: int) -> bool:
        """Return whether an output is a map (B, h, w, C), by timm's number of channels."""
        if output.ndim != 4:
            return False
        channels = _channels(self.timm_model, index)
        first, last = output.shape[1] == channels, output.shape[3] == channels
        if first != last:
            return bool(last)
        layout = getattr(self.timm_model, "output_fmt", None)
        return str(getattr(layout, "value", layout)) == CHANNELS_LAST


def _channels(model: object, index: int) -> int | None:
    """Return the channels of a timm model's output; None if unknown."""
    info: Any = getattr(model, "feature_info", None)
    if hasattr(info, "channels"):  # of features_only=True; else it is a list of all layers'
        channels: list[int] = info.channels()
        return channels[index] if index < len(channels) else None
    found: int | None = getattr(model, "num_features", None)
    return found
