"""Cross-attention from words to image regions.

Legend: B images, n regions of the last map, N prompts, L words of the longest, D common width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_positive
from cliqa.models.heads.features import full_precision
from cliqa.models.heads.image_text import ImageTextHead
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

WAVES = 4
"""Waves along each side of a map in the position encoding."""


def place_features(height: int, width: int) -> Tensor:
    """Return a position encoding of a map's regions, relative to the map's size.

    Sine and cosine of pi k y and pi k x at the regions' middles, k = 1 .. `WAVES`; the positions of
    Carion et al., "End-to-end object detection with transformers", ECCV 2020, with few waves.

    Args:
        height: Of the map.
        width: Of the map.

    Returns:
        (height * width, 4 * WAVES), row by row.

    >>> place_features(1, 3)[:, 2 * WAVES]  # sin(pi x)
    tensor([0.5000, 1.0000, 0.5000])
    """
    waves = math.pi * torch.arange(1, WAVES + 1)
    sides = []
    for size in (height, width):
        angles = (torch.arange(size) + 0.5)[:, None] / size * waves  # (size, WAVES)
        sides.append(torch.cat([angles.sin(), angles.cos()], dim=1))
    rows = sides[0][:, None].expand(-1, width, -1)
    columns = sides[1][None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)


@MODELS.register_module()
class FusionHead(ImageTextHead):
    """Compare every word with the regions of an image that it attends to.

    Each word of a prompt attends to all regions (multi-head attention, Vaswani et al., 2017,
    section 3.2.2); the prompt's logit compares the words with the attended vectors: ``s sum_l w_l
    cos(word_l, gathered_l)`` (Lee et al., "Stacked cross attention for image-text matching", ECCV
    2018, eq. 3 and 7, whose mean over words is trained here). Regions and words share the
    projections of whole images and texts.

    Args:
        in_channels: Channels of the image's map.
        text_channels: Length of a word's vector.
        width: D; see `ImageTextHead`.
        temperature: 1 / s at the start; see `ImageTextHead`.
        heads: Heads of the attention; D is divided among them.

    Raises:
        ConfigError: A value is not above 0, or `heads` does not divide D.
    """

    of_images = ("image", "key")

    def __init__(
        self,
        in_channels: int,
        text_channels: int,
        width: int | None = 64,
        temperature: float = 0.07,
        heads: int = 4,
    ) -> None:
        super().__init__(in_channels, text_channels, width, temperature)
        check_positive("FusionHead", heads=heads)
        if self.width % heads:
            raise ConfigError(f"FusionHead: heads={heads} does not divide width={self.width}.")
        self.heads = heads
        self.query = nn.Linear(text_channels, self.width)
        self.key = nn.Linear(in_channels, self.width)
        self.place = nn.Linear(4 * WAVES, self.width, bias=False)
        self.readout = nn.Linear(text_channels, 1, bias=False)
        nn.init.zeros_(self.readout.weight)  # all words of a prompt have equal weights at first

    def forward(  # type: ignore[override]  # words in place of whole texts
        self, regions: Tensor, words: Tensor, mask: Tensor
    ) -> Tensor:
        """Return the logits of prompts for images, (B, N).

        Args:
            regions: (B, in_channels, h, w).
            words: (N, L, text_channels).
            mask: (N, L) bool, False for padding.

        Raises:
            ModelError: The map has another number of channels.
        """
        with full_precision(self, regions) as regions:
            words = words.to(regions.dtype)
            alike = F.normalize(self.text(words), dim=2)  # (N, L, D)
            gathered = F.normalize(self.gather(regions, words), dim=3)  # (B, N, L, D)
            cosines = (gathered * alike).sum(3)  # (B, N, L)
            return self.scale * (cosines * self.word_weights(words, mask)).sum(2)

    def gather(self, regions: Tensor, words: Tensor) -> Tensor:
        """Return each word's attended vector in each image, (B, N, L, D)."""
        shares = self.attention(regions, words)  # (B, heads, N, L, n)
        values = self.image(_tokens(regions)).unflatten(2, (self.heads, -1))  # (B, n, heads, d)
        return torch.einsum("bhpln,bnhd->bplhd", shares, values).flatten(3)

    def attention(self, regions: Tensor, words: Tensor) -> Tensor:
        """Return each word's attention weights over the regions, (B, heads, N, L, n)."""
        if regions.ndim != 4 or regions.shape[1] != self.in_channels:
            raise ModelError(
                f"FusionHead takes maps (B, {self.in_channels}, h, w), got shape "
                f"{tuple(regions.shape)}. Set in_channels in model to the channels of the "
                "backbone's last map."
            )
        places = self.place(place_features(*regions.shape[2:]).to(regions))  # (n, D)
        keys = (self.key(_tokens(regions)) + places).unflatten(2, (self.heads, -1))
        queries = self.query(words).unflatten(2, (self.heads, -1))  # (N, L, heads, d)
        logits = torch.einsum("plhd,bnhd->bhpln", queries, keys) * queries.shape[-1] ** -0.5
        return logits.softmax(dim=-1)

    def word_weights(self, words: Tensor, mask: Tensor) -> Tensor:
        """Return the weights of a prompt's words, (N, L); they sum to 1."""
        logits: Tensor = self.readout(words)[..., 0]
        return logits.masked_fill(~mask, float("-inf")).softmax(dim=1)

    def image_vectors(self, regions: Tensor, *_: Tensor) -> Tensor:
        """Return unit vectors (B, D) of the images that `forward` was given."""
        return self.embed_image(regions.mean(dim=(2, 3)))


def _tokens(regions: Tensor) -> Tensor:
    """Return maps (B, C, h, w) as regions (B, n, C)."""
    return regions.flatten(2).transpose(1, 2)
