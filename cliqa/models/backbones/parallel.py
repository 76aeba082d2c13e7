"""Several backbones side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

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
    """

    def __init__(self, branches: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        if not branches or isinstance(branches, Mapping):
            raise ConfigError(
                f"ParallelBackbones: branches must be a list of backbones, got {branches!r}. Write "
                "branches=[dict(type='TorchvisionBackbone', ...), dict(type='SCNN')]."
            )
        self.branches = nn.ModuleList(
            build_part(config, f"model.backbone.branches[{index}]")
            for index, config in enumerate(branches)
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the maps and vectors of all branches.

        Raises:
            ModelError: A branch cannot process the images.
        """
        return tuple(output for branch in self.branches for output in run_backbone(branch, images))
