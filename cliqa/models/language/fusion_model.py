"""Cross-modal attention from the words of a text to the regions of an image (Lee et al., 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cliqa.models.heads.features import full_precision
from cliqa.models.heads.fusion import FusionHead
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.language.text_encoder import KeptFeatures
from cliqa.models.outputs import run_backbone
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError


@MODELS.register_module()
class FusionModel(ImageTextModel):
    """Compare an image with K texts by word-to-region attention: logits (B, K), or scores (B,).

    Every word of every candidate attends to the regions of the backbone's last map, independently
    of targets, tasks and other images. A candidate's logit is the mean of its prompts' (see
    `FusionHead`); for levels of quality the score is the mean of their values, weighted by the
    softmax of the logits. The words are encoded once per forward pass.

    `embed_image` and `embed_text` give vectors of the whole image (the mean of its regions) and of
    whole prompts in the same space, for an additional contrastive loss.

    Args:
        backbone: Config of an image encoder that gives maps: for ``SmallConvNet`` without
            ``flatten``, for ``ResNet`` without a neck. The last map is used.
        texts: The candidates; see `ImageTextModel`.
        in_channels: Channels of that map.
        text_encoder: Config of the text encoder; None for ``TextTransformer``.
        width: D of the common space; None to compare both encoders' features as they are.
        heads: Heads of the attention; they share D among them.
        temperature: See `ImageTextModel`.
        pretrained: A local file of weights; see `QualityModel`.
        freeze: Names of parts that are not trained; see `freeze_parts`.

    Raises:
        ConfigError: A part's config or the texts are wrong.
        ModelError: The weights do not fit, or `freeze` matches nothing.
    """

    head: FusionHead

    def __init__(
        self,
        backbone: Mapping[str, Any],
        texts: str | Path | None,
        in_channels: int | None = None,
        text_encoder: Mapping[str, Any] | None = None,
        width: int | None = 64,
        heads: int = 4,
        temperature: float = 0.07,
        pretrained: str | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        super().__init__(backbone, texts, in_channels, text_encoder, width, temperature)
        self.head = FusionHead(
            self.head.in_channels, self.text_encoder.output_dim, width, temperature, heads
        )
        self._kept_words = KeptFeatures("words")
        self.load_and_freeze(pretrained, freeze)

    def regions(self, images: Tensor) -> Tensor:
        """Return the backbone's last map (B, C, h, w) of images.

        Raises:
            ModelError: It returns no map.
        """
        last = run_backbone(self.backbone, images)[-1]
        if last.ndim != 4:
            raise ModelError(
                f"FusionModel: the backbone returned shape {tuple(last.shape)}, but words attend "
                "to the regions of a map (B, C, h, w). Set flatten=False of a SmallConvNet or "
                "out_type='featmap' of a transformer, or use ImageTextModel."
            )
        return last

    def features(self, images: Tensor) -> Tensor:
        """Return the mean (B, C) of an image's regions."""
        return self.regions(images).mean(dim=(2, 3))

    def words(self) -> tuple[Tensor, Tensor]:
        """Return the words of all prompts, (N, L, D), and a mask (N, L) of the words."""
        found: tuple[Tensor, Tensor] = self._kept_words(self.text_encoder, self.candidates().flat)
        return found

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits of every candidate for images (B, C, H, W), (B, K)."""
        found: Tensor = self.head(self.regions(images), *self.words())  # (B, N)
        with full_precision(self.head, found) as fits:
            return fits @ self._average.to(fits).T

    def attention(self, images: Tensor, ids: Sequence[int] | None = None) -> Tensor:
        """Return each word's attention map, averaged over heads; it sums to 1.

        Args:
            images: (B, C, H, W).
            ids: P prompts of ``texts.flat``; None for the first of each candidate.

        Returns:
            (B, P, L, h, w).
        """
        words, _ = self.words()
        regions = self.regions(images)
        shares = self.head.attention(regions, words[self._shown(ids)]).mean(dim=1)
        return shares.unflatten(-1, tuple(regions.shape[2:]))

    def word_weights(self, ids: Sequence[int] | None = None) -> Tensor:
        """Return the weight of each word in its prompt, (P, L); 0 for padding."""
        words, mask = self.words()
        shown = self._shown(ids)
        found: Tensor = self.head.word_weights(words[shown], mask[shown])
        return found

    def _shown(self, ids: Sequence[int] | None) -> Tensor:
        """Return the ids of the chosen prompts, (P,)."""
        texts = self.candidates()
        chosen = [texts.ids_of(k)[0] for k in range(len(texts))] if ids is None else list(ids)
        return torch.tensor(chosen)
