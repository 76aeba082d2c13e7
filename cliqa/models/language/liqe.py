"""LIQE: the quality, the scene and the distortion of an image, from joint texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cliqa.models.arguments import check_integer
from cliqa.models.heads.features import full_precision
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.registry import MODELS
from cliqa.utils.errors import ConfigError, ModelError

SCENES = (
    *("animal", "cityscape", "human", "indoor", "landscape"),
    *("night", "plant", "still_life", "others"),
)
DISTORTIONS = (
    *("jpeg2000 compression", "jpeg compression", "noise", "blur", "color", "contrast"),
    *("overexposure", "underexposure", "spatial", "quantization", "other"),
)
LEVELS = ("bad", "poor", "fair", "good", "perfect")
"""Of quality, with the scores 0, 0.25 ... 1; published are 1..5."""


def joint_texts(
    scenes: Sequence[str] = SCENES, distortions: Sequence[str] = DISTORTIONS
) -> CandidateTexts:
    """Return LIQE's candidates: the five levels, each with a text for every scene and distortion.

    Args:
        scenes: S scenes.
        distortions: D distortions; they vary faster than the scenes.

    >>> joint_texts().flat[0]
    'a photo of a animal with jpeg2000 compression artifacts, which is of bad quality'
    >>> len(joint_texts().flat)
    495
    """
    prompts = tuple(
        tuple(
            f"a photo of a {scene} with {distortion} artifacts, which is of {level} quality"
            for scene in scenes
            for distortion in distortions
        )
        for level in LEVELS
    )
    values = tuple(index / (len(LEVELS) - 1) for index in range(len(LEVELS)))
    return CandidateTexts(LEVELS, prompts, values, "of LIQE")


@MODELS.register_module()
class LIQE(ImageTextModel):
    """Images (B, 3, H, W) -> scores (B,), by comparing them with 495 texts at once.

    Zhang et al., "Blind image quality assessment via vision-language correspondence: a multitask
    learning perspective", CVPR 2023. The softmax over all texts is the joint probability of five
    levels of quality, 9 scenes and 11 distortions; the score is the mean level under its marginal,
    (q - 1) / 4 of the paper's q in 1..5. Of an image larger than the image encoder's, the logits of
    several windows are averaged first (section 3.1).

    Args:
        backbone: Config of the image encoder: ``CLIPVision``.
        in_channels: Length of the image's features.
        text_encoder: Config of the text encoder: ``CLIPText``.
        width: See `ImageTextModel`.
        temperature: See `ImageTextModel`; 0.01 is CLIP's. Published training keeps it fixed:
            ``freeze=["head"]``.
        size: Edge of a window, in pixels.
        step: Distance of windows, in pixels.
        windows: Most windows of an image.
        scenes: Other scenes than the paper's.
        distortions: Other distortions than the paper's.
        pretrained: A local file of weights of the whole model: CLIP's, or LIQE's.
        freeze: Names of parts that are not trained; see `freeze_parts`.

    Raises:
        ConfigError: A part's config is wrong, or a number is not above 0.
        ModelError: The weights do not fit, or `freeze` matches nothing.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        in_channels: int = 512,
        text_encoder: Mapping[str, Any] | None = None,
        width: int | None = None,
        temperature: float = 0.01,
        size: int = 224,
        step: int = 32,
        windows: int = 15,
        scenes: Sequence[str] = SCENES,
        distortions: Sequence[str] = DISTORTIONS,
        pretrained: str | Path | None = None,
        freeze: Sequence[str] = (),
    ) -> None:
        check_integer("LIQE", 1, size=size, step=step, windows=windows)
        if not scenes or not distortions:
            raise ConfigError("LIQE: name at least one of the scenes and of the distortions.")
        super().__init__(backbone, None, in_channels, text_encoder, width, temperature)
        self.size, self.step, self.windows = size, step, windows
        self.scenes, self.distortions = tuple(scenes), tuple(distortions)
        texts = joint_texts(self.scenes, self.distortions)
        self.text_encoder.learn(texts.flat)
        self.use_texts(texts)
        self.load_and_freeze(None if pretrained is None else str(pretrained), freeze)

    def features(self, images: Tensor) -> Tensor:
        """Return the mean features (B, D) of an image's windows."""
        return self._of_windows(super().features(self._cut(images)), len(images))

    def text_logits(self, images: Tensor) -> Tensor:
        """Return the logits of all texts for images (B, 3, H, W), (B, N): the windows' mean."""
        vectors = self.embed_image(self._cut(images))  # each is one window
        return self._of_windows(self.head(vectors, self.embed_text()), len(images))

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits of the levels, (B, K); their softmax is the marginal of the joint."""
        with full_precision(self.head, self.text_logits(images)) as found:
            own = self._average.to(found.device) > 0  # (K, N)
            return found[:, None].masked_fill(~own, float("-inf")).logsumexp(dim=2)

    def probabilities(self, images: Tensor) -> dict[str, Tensor]:
        """Return the marginals of images (B, 3, H, W).

        Returns:
            ``"quality"`` (B, 5), ``"scene"`` (B, S) and ``"distortion"`` (B, D), in the order of
            `LEVELS`, `scenes` and `distortions`.
        """
        sizes = (len(LEVELS), len(self.scenes), len(self.distortions))
        with full_precision(self.head, self.text_logits(images)) as found:
            joint = found.softmax(dim=1).unflatten(1, sizes)
        parts = {"quality": (2, 3), "scene": (1, 3), "distortion": (1, 2)}
        return {name: joint.sum(dim=others) for name, others in parts.items()}

    def _cut(self, images: Tensor) -> Tensor:
        """Return the windows (B V, 3, size, size) of images (B, 3, H, W), an image's together.

        Raises:
            ModelError: The images are smaller than a window.
        """
        height, width = images.shape[2:]
        if min(height, width) < self.size:
            raise ModelError(
                f"LIQE takes images of at least {self.size} pixels a side, got {height} x {width}. "
                f"Resize them: dict(type='Resize', size={self.size}) in the transforms."
            )
        size = self.size
        corners = window_corners(height, width, size, self.step, self.windows)
        cut = [images[..., top : top + size, left : left + size] for top, left in corners]
        return torch.stack(cut, dim=1).flatten(0, 1)

    @staticmethod
    def _of_windows(values: Tensor, count: int) -> Tensor:
        """Return the mean (B, ...) of values (B V, ...) over each image's windows."""
        return values.unflatten(0, (count, -1)).mean(dim=1)


def window_corners(
    height: int, width: int, size: int = 224, step: int = 32, most: int = 15
) -> list[tuple[int, int]]:
    """Return the top left corners of an image's windows, evenly chosen of all, row by row.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        size: Edge of a window, in pixels.
        step: Distance of windows, in pixels.
        most: Number of windows that are kept.

    >>> window_corners(224, 300)
    [(0, 0), (0, 32), (0, 64)]
    >>> window_corners(384, 512)[:3], len(window_corners(384, 512))
    ([(0, 0), (0, 128), (0, 256)], 15)
    """
    rows = range(0, height - size + 1, step)
    columns = range(0, width - size + 1, step)
    found = [(top, left) for top in rows for left in columns]
    return found[:: max(1, len(found) // most)][:most]
