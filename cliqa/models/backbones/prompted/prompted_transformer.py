"""A frozen vision transformer with a pool of prompts that are learnt (L2P)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer
from cliqa.models.backbones.prompted.frozen_transformer import FrozenTransformer
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError


@MODELS.register_module()
class PromptedTransformer(FrozenTransformer):
    """Prompts from a pool, chosen for each image, beside a frozen transformer's tokens.

    Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022: the transformer's own
    class token q(x) of an image is compared with M keys (cosine); the prompts of the N nearest
    ones join the image's tokens before the first block, and the output is the mean of their N L
    tokens after the last one (section 4.1). Prompts, keys and the head behind are trained, the
    transformer is not. The plugin `L2P` pulls the chosen keys towards the images.

    Args:
        backbone: As of `FrozenTransformer`.
        pool_size: M, prompts in the pool.
        length: L, tokens of a prompt.
        top_k: N, prompts for an image.

    Attributes:
        matches: Of the sum of the chosen keys' cosines; see `FrozenTransformer`.

    Raises:
        ConfigError: The backbone is no such transformer, or a number is out of range.
    """

    def __init__(
        self, backbone: Mapping[str, Any], pool_size: int = 10, length: int = 5, top_k: int = 5
    ) -> None:
        owner = type(self).__name__
        check_integer(owner, 1, pool_size=pool_size, length=length, top_k=top_k)
        if top_k > pool_size:
            raise ConfigError(f"{owner}: top_k={top_k} is above pool_size={pool_size}.")
        super().__init__(backbone)
        self.length, self.top_k = length, top_k
        width = self.layers.width
        self.keys = nn.Parameter(torch.empty(pool_size, width).uniform_(-1, 1))
        self.prompts = nn.Parameter(torch.empty(pool_size, length, width).uniform_(-1, 1))
        self.train()

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return vectors (B, D) for images (B, 3, H, W)."""
        query = self.query(images)
        cosines = F.normalize(query, dim=1) @ F.normalize(self.keys, dim=1).T  # (B, M)
        best, chosen = cosines.topk(self.top_k, dim=1)
        if self.matches is not None:
            self.matches.append(best.sum(1))
        prompts = self.prompts[chosen].flatten(1, 2)  # (B, N L, D)
        tokens = self.tokens(images, prompts)
        return (self.layers.after(tokens[:, -prompts.shape[1] :].mean(1)),)
