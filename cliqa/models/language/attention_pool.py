"""The attention pool of CLIP's ResNets without positions, for images of any size."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentionPool(nn.Module):
    """Maps (B, C, h, w) -> vectors (B, D): the mean position attends to all positions.

    CLIP's pool (Radford et al., 2021, section 2.4) without its positional embedding, as CLIP-IQA
    uses it (Wang et al., "Exploring CLIP for assessing the look and feel of images", AAAI 2023,
    section 3). The layers have CLIP's names.

    Args:
        channels: C.
        output_dim: D.
        heads: Heads of the attention.
    """

    def __init__(self, channels: int, output_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(channels, channels) for _ in range(3))
        self.c_proj = nn.Linear(channels, output_dim)

    def forward(self, maps: Tensor) -> Tensor:
        """Return vectors (B, D) for maps (B, C, h, w)."""
        x = maps.flatten(2).transpose(1, 2)  # (B, n, C)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1)
        split = (self.heads, -1)
        q = self.q_proj(x[:, :1]).unflatten(2, split).transpose(1, 2)  # (B, heads, 1, d)
        k = self.k_proj(x).unflatten(2, split).transpose(1, 2)  # (B, heads, 1 + n, d)
        v = self.v_proj(x).unflatten(2, split).transpose(1, 2)
        shares = (q @ k.transpose(2, 3) * q.shape[3] ** -0.5).softmax(dim=3)
        found: Tensor = self.c_proj((shares @ v).flatten(1))
        return found
