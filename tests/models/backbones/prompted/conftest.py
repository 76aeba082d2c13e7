"""Prefix tuning of a small vision transformer, written with its layers themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

ARCH = {"embed_dims": 16, "num_layers": 4, "num_heads": 2, "feedforward_channels": 32}


@pytest.fixture
def small_vit() -> dict[str, Any]:
    """Return the config of a transformer of 4 blocks, 2 heads and tokens of 16 numbers."""
    return {"type": "VisionTransformer", "arch": ARCH, "img_size": 16, "patch_size": 4}


@pytest.fixture
def five_images() -> Tensor:
    """Return images (5, 3, 16, 16)."""
    return torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def attention(block: Any, x: Tensor, prefix: Tensor | None) -> Tensor:
    """Return a block's attention of one image's tokens (1, N, D), head by head."""
    own = block.attn
    query, key, value = own.qkv(block.ln1(x))[0].split(x.shape[2], dim=1)  # (N, D) each
    if prefix is not None:
        key, value = torch.cat([prefix[0], key]), torch.cat([prefix[1], value])
    size = own.head_dims
    heads = []
    for first in range(0, x.shape[2], size):
        part = slice(first, first + size)
        share = (query[:, part] @ key[:, part].T / size**0.5).softmax(1)
        heads.append(share @ value[:, part])
    out: Tensor = own.proj(torch.cat(heads, dim=1))
    return out[None]


@pytest.fixture
def with_prefixes() -> Callable[..., Tensor]:
    """Return a function of mmpretrain's transformer, an image (3, H, W) and prefixes by block.

    A prefix (2, L, D) holds keys and values. The function gives the class token (D,).
    """

    def run(vit: Any, image: Tensor, prefixes: Mapping[int, Tensor]) -> Tensor:
        x, _ = vit.patch_embed(image[None])
        x = torch.cat([vit.cls_token, x], dim=1) + vit.pos_embed
        for index, block in enumerate(vit.layers):
            x = x + attention(block, x, prefixes.get(index))
            x = block.ffn(block.ln2(x), identity=x)
        out: Tensor = vit.ln1(x)[0, 0]
        return out

    return run
