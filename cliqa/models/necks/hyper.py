"""The neck of HyperIQA: inputs of the hyper network and of its target net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_positive
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.necks.pooling import pool_to
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

WHERE = "model.neck.fusion"


@MODELS.register_module()
class HyperNeck(nn.Module):
    """Maps of several depths -> a vector (B, D) of local distortions, and maps of the content.

    Args:
        fusion: Config of the module that makes the maps: `ScaleFusion`, `PyramidFusion`, or another
            module that takes ``in_channels`` and a list of maps.
        in_channels: Channels of the maps, shallow to deep. A `HyperModel` fills them in.
        reduced: See `LocalDistortion`.
        dims: See `LocalDistortion`.
        vector_channels: D.

    Raises:
        ConfigError: `in_channels` is empty, or a part's config is wrong.
    """

    def __init__(
        self,
        fusion: Mapping[str, Any],
        in_channels: Sequence[int] = (),
        reduced: Sequence[int] = (16, 32, 64),
        dims: int = 16,
        vector_channels: int = 224,
    ) -> None:
        super().__init__()
        if not in_channels:
            raise ConfigError(
                "HyperNeck: in_channels is empty. Give the channels of the backbone's maps, "
                "shallow to deep, e.g. (256, 512, 1024, 2048); 'HyperModel' finds them itself."
            )
        self.local = LocalDistortion(in_channels, reduced, dims, vector_channels)
        self.fusion = build_part({"in_channels": tuple(in_channels), **fusion}, WHERE)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return vectors (B, D) and maps (B, C, g, g)."""
        return self.local(maps), self.fusion(maps)


@MODELS.register_module()
class LocalDistortion(nn.Module):
    """Maps of every depth -> one vector (B, D): HyperIQA's local distortion aware module.

    Su et al., CVPR 2020, section 3.2. The maps are cut into a grid of cells - one for the deepest
    maps, and with twice the edge for each shallower one: 8x8, 4x4, 2x2, 1x1 of four - and each
    cell's mean is taken. Shallow maps are first reduced to few channels.

    Args:
        in_channels: Channels of the maps, shallow to deep.
        reduced: Channels that each of the maps except the deepest is reduced to.
        dims: Outputs of each of these; the deepest maps give the rest.
        out_channels: D.

    Raises:
        ConfigError: The numbers of maps differ, a size is not above 0, or no output is left for the
            deepest maps.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        reduced: Sequence[int] = (16, 32, 64),
        dims: int = 16,
        out_channels: int = 224,
    ) -> None:
        super().__init__()
        levels = len(in_channels)
        if len(reduced) != levels - 1:
            raise ConfigError(
                f"LocalDistortion: reduced has {len(reduced)} numbers for {levels} maps. Give one "
                f"for each of them but the deepest: {max(0, levels - 1)}."
            )
        rest = out_channels - dims * (levels - 1)
        sizes = min([*in_channels, *reduced])
        check_positive("LocalDistortion", in_channels_and_reduced=sizes, dims=dims)
        if rest < 1:
            raise ConfigError(
                f"LocalDistortion: out_channels={out_channels} leaves no output for the deepest "
                f"maps beside {levels - 1} times dims={dims}. Set a larger out_channels."
            )
        self.cells = [2 ** (levels - 1 - level) for level in range(levels)]
        self.reduce = nn.ModuleList(
            nn.Conv2d(channels, few, 1, bias=False)
            for channels, few in zip(in_channels, reduced, strict=False)
        )
        lengths = [few * edge**2 for few, edge in zip(reduced, self.cells, strict=False)]
        shallow = [nn.Linear(length, dims) for length in lengths]
        self.project = nn.ModuleList([*shallow, nn.Linear(in_channels[-1], rest)])
        for layer in (*self.reduce, *self.project):
            nn.init.kaiming_normal_(layer.weight)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return vectors (B, D) for maps (B, C, h, w), shallow to deep.

        Raises:
            ModelError: The number of maps differs from that of `in_channels`.
        """
        if len(maps) != len(self.project):
            raise ModelError(
                f"LocalDistortion has layers for {len(self.project)} maps and got {len(maps)}. Set "
                "the backbone's out_indices or nodes to as many layers."
            )
        # the mean of a 1x1 convolution is that of the mean, which is less to compute
        cells = [pool_to(each, edge, edge) for each, edge in zip(maps, self.cells, strict=True)]
        few = [layer(each) for layer, each in zip(self.reduce, cells, strict=False)] + cells[-1:]
        parts = [layer(each.flatten(1)) for layer, each in zip(self.project, few, strict=True)]
        return torch.cat(parts, dim=1)
