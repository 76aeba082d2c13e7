"""Several backbones side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from cliqa.models.backbones.downloads import NoDownloadError
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.outputs import run_backbone
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


@MODELS.register_module()
class ParallelBackbones(nn.Module):
    """Images (B, 3, H, W) -> the outputs of several backbones, those of the first one first.

    Args:
        branches: Configs of the backbones.

    Raises:
        ConfigError: There is none, or a config is wrong.
        ModelError: The weights of one do not fit, or cannot be downloaded.
    """

    def __init__(self, branches: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if not branches:
            raise ConfigError(
                "ParallelBackbones: branches is empty. Name backbones: "
                "branches=[dict(type='TorchvisionBackbone', ...), dict(type='SCNN')]."
            )
        self.branches = nn.ModuleList(_build(index, one) for index, one in enumerate(branches))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps and vectors of all branches.

        Raises:
            ModelError: A branch cannot process the images.
        """
        return tuple(output for branch in self.branches for output in run_backbone(branch, images))


def _build(index: int, config: Mapping[str, Any]) -> nn.Module:
    """Return a branch; the advice for a failed download names its own key."""
    try:
        return build_part(config, f"model.backbone.branches[{index}]")
    except NoDownloadError as error:
        option = f"branches.{index}.{error.option}"
        raise NoDownloadError(*error.details, option, error.none) from error
