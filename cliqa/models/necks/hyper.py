"""What a hyper network and its target net take, from a backbone's maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.necks.local_distortion import LocalDistortion
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError

WHERE = "model.neck.fusion"


@MODELS.register_module()
class HyperNeck(nn.Module):
    """Maps of several depths -> a vector (B, D) of local distortions, and maps of the content.

    Args:
        fusion: Config of what makes the maps: `ScaleFusion`, `PyramidFusion`, or another module
            that takes ``in_channels`` and a list of maps.
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
