"""A two-tower model: image and text encoders with a common space (Radford et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.models.heads.features import full_precision
from cliqa.models.heads.image_text import ImageTextHead
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.text_encoder import KeptFeatures, TextEncoder
from cliqa.models.language.text_files import load_texts
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.models.quality_model import QualityModel
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError


@MODELS.register_module()
class ImageTextModel(QualityModel):
    """Compare an image with K texts: logits (B, K) of classes, or scores (B,) of quality levels.

    An image is compared with the texts of all candidates, independently of targets and tasks. A
    candidate is the normalised mean of its prompts' unit vectors. For levels of quality the score
    is the mean of their values, weighted by the softmax of the logits.

    Args:
        backbone: Config of the image encoder, as in a `QualityModel`; or ``CLIPVision``.
        texts: The candidates: a name of the package's own texts (``"fashion_mnist"``,
            ``"quality_levels"`` ...), or the path of a YAML file; see `load_texts`. Classes are in
            the stream's order. None: they are in a checkpoint that is loaded later.
        in_channels: Length of the image's features, as for a head.
        text_encoder: Config of the text encoder; None for ``TextTransformer``.
        width: D of the common space; None to compare both encoders' features as they are.
        temperature: Initial divisor of the cosines; it is trained, and at least 0.01.
        neck: Config of a neck between image encoder and projection.
        pretrained: A local file of weights; see `QualityModel`.
        freeze: Names of parts that are not trained: ``["text_encoder"]``; see `freeze_parts`.

    Attributes:
        texts: The candidates; None until a checkpoint with texts is loaded.
        text_encoder: The text encoder.
        head: The projections and the scale.

    Raises:
        ConfigError: A part's config or the texts are wrong.
        ModelError: The weights do not fit, or `freeze` matches nothing.
    """

    texts: CandidateTexts | None = None
    text_encoder: TextEncoder
    head: ImageTextHead

    def __init__(
        self,
        backbone: Mapping[str, Any],
        texts: str | Path | None,
        in_channels: int | None = None,
        text_encoder: Mapping[str, Any] | None = None,
        width: int | None = 64,
        temperature: float = 0.07,
        neck: Mapping[str, Any] | None = None,
        pretrained: str | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        found = None if texts is None else load_texts(texts)
        encoder = build_part(text_encoder or {"type": "TextTransformer"}, "model.text_encoder")
        if not isinstance(encoder, TextEncoder):
            raise ConfigError(
                f"model.text_encoder '{type(encoder).__name__}': is not a text encoder. Use "
                "'TextTransformer' or 'CLIPText'."
            )
        head: dict[str, Any] = {"type": "ImageTextHead", "in_channels": in_channels, "width": width}
        head |= {"text_channels": encoder.output_dim, "temperature": temperature}
        super().__init__(backbone, head, neck)
        self.text_encoder = encoder
        self._kept = KeptFeatures()
        if found is not None:
            encoder.learn(found.flat)
            self.use_texts(found)
        self.load_and_freeze(pretrained, freeze)

    def use_texts(self, texts: CandidateTexts) -> None:
        """Use other candidates from now on; weights do not change.

        Args:
            texts: The candidates.

        Raises:
            ModelError: A text is too long for the encoder.
        """
        self.text_encoder.tokens(texts.flat)
        self._take(texts)

    def _take(self, texts: CandidateTexts) -> None:
        """Set the texts, which the encoder can tokenize."""
        members = F.one_hot(torch.tensor(texts.owners), len(texts)).T.float()  # (K, N)
        self._average = members / members.sum(dim=1, keepdim=True)
        self.texts = texts

    def check_classes(self, classes: Sequence[str] | None) -> None:
        """Refuse a stream that does not match the texts.

        Args:
            classes: Its classes in the order of their labels; None for scores.

        Raises:
            ConfigError: There are no texts, they are levels but the stream has classes or vice
                versa, or the classes differ.
        """
        if self.texts is None:
            raise ConfigError(
                "model.texts: None is only for a model whose checkpoint has the texts. Set a "
                "name, such as 'fashion_mnist' or 'quality_levels', or the path of a .yaml file."
            )
        levels = self.texts.values is not None
        if levels != (classes is None):
            has, need = ("classes", "'levels'") if levels else ("scores", "'classes'")
            raise ConfigError(
                f"model.texts {self.texts.source}: the file names {need}, but this stream has "
                f"{has}. Give texts of {'the classes' if levels else 'quality levels'}."
            )
        if classes is not None:
            self.texts.check_names(classes)

    def embed_image(self, images: Tensor) -> Tensor:
        """Return unit vectors (B, D) of images (B, C, H, W).

        Raises:
            ModelError: The image encoder's features have another length than `in_channels`.
        """
        features = self.features(images)
        if features.shape[1] != self.head.in_channels:
            raise ModelError(
                f"model.in_channels={self.head.in_channels}, but the image encoder's features have "
                f"length {features.shape[1]} for images {tuple(images.shape[-2:])}. Set "
                f"in_channels={features.shape[1]} in model; a model that is trained already needs "
                "images of the size that it was trained with."
            )
        return self.head.embed_image(features)

    def embed_text(self, ids: Tensor | None = None) -> Tensor:
        """Return unit vectors (N, D) of prompts.

        Args:
            ids: Which of ``texts.flat``; None for all.
        """
        features = self._kept(self.text_encoder, self.candidates().flat)
        return self.head.embed_text(features if ids is None else features[ids])

    def prototypes(self) -> Tensor:
        """Return a unit vector (K, D) for each candidate."""
        with full_precision(self.head, self.embed_text()) as prompts:  # (N, D)
            return F.normalize(self._average.to(prompts) @ prompts, dim=1)

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits of every candidate for images (B, C, H, W), (B, K)."""
        found: Tensor = self.head(self.embed_image(images), self.prototypes())
        return found

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, K), or scores (B,) if the candidates are levels."""
        return self.answers(self.logits(images))

    def answers(self, logits: Tensor) -> Tensor:
        """Return logits (B, K) for classes, or scores (B,) for levels."""
        values = self.candidates().values
        if values is None:
            return logits
        with full_precision(self.head, logits) as precise:
            return precise.softmax(dim=1) @ precise.new_tensor(values)

    def get_extra_state(self) -> Tensor:
        """Return the texts as bytes, (n,) uint8: a checkpoint needs no other file."""
        text = "" if self.texts is None else self.texts.to_json()
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Load a checkpoint's texts, if the model has none."""
        if self.texts is None and len(state):
            text = bytes(state.tolist()).decode()
            # not use_texts: the encoder's vocabulary is loaded after this
            self._take(CandidateTexts.from_json(text, "of the checkpoint"))

    def candidates(self) -> CandidateTexts:
        """Return the texts.

        Raises:
            ModelError: There are none yet.
        """
        if self.texts is None:
            raise ModelError(
                "ImageTextModel: it was built without texts. Load a checkpoint that has them, or "
                "call use_texts."
            )
        return self.texts


def blend_prototypes(
    texts: Tensor, images: Tensor, shares: Tensor, text_weight: float = 1.0
) -> Tensor:
    """Return prototypes that combine candidates' texts with some images.

    Prototype k is ``w t_k + sum_i s_ik x_i``, normalised to length 1: the text has the weight of
    ``w`` images; without images it is the text. All vectors are unit vectors.

    Args:
        texts: t, (K, D).
        images: x, (M, D); M may be 0.
        shares: s, (M, K): the share of a candidate in an image, 0..1; one-hot for classes.
        text_weight: w, at least 0.

    Returns:
        (K, D).

    >>> import torch
    >>> texts, images = torch.eye(2), torch.tensor([[0.6, 0.8]])
    >>> blend_prototypes(texts, images, torch.tensor([[0.0, 1.0]]))
    tensor([[1.0000, 0.0000],
            [0.3162, 0.9487]])
    """
    return F.normalize(text_weight * texts + shares.to(images).T @ images, dim=1)
