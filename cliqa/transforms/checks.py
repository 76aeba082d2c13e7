"""Checks of a pipeline's config before any image is read."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cliqa.utils.errors import ConfigError

logger = logging.getLogger(__name__)

PHOTOMETRIC = frozenset(
    {
        *("AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide", "ColorJitter", "JPEG"),
        *("GaussianBlur", "GaussianNoise", "Grayscale", "RandomGrayscale", "RandomInvert"),
        *("RandomAdjustSharpness", "RandomAutocontrast", "RandomChannelPermutation"),
        *("RandomEqualize", "RandomPhotometricDistort", "RandomPosterize", "RandomSolarize"),
        "SyntheticDegradation",
    }
)
"""Steps that compute with brightness and colour, so they need pixels that are not normalised."""

ALTERING = PHOTOMETRIC | {
    *("ElasticTransform", "RandomAffine", "RandomErasing", "RandomPerspective", "RandomResize"),
    *("RandomResizedCrop", "RandomRotation", "RandomShortestSize", "RandomZoomOut", "ScaleJitter"),
}
"""Steps after which an image no longer has the quality that its raters saw."""

NEEDS_8_BITS = frozenset({"JPEG"})
TO_FLOAT = frozenset({"ToTensor", "ToDtype", "ConvertImageDtype"})

Step = tuple[str, Mapping[str, Any], str]
"""A step's name, its config and its key path."""


def check_order(steps: Sequence[Mapping[str, Any]], where: str) -> None:
    """Check that every step gets the kind of image that it needs.

    Raises:
        ConfigError: A step would work on the wrong values: `Normalize` on 8-bit levels, a colour
            step on normalised ones, `JPEG` on floats.
    """
    is_float = is_normalised = False
    for name, config, place in flatten(steps, where):
        if name in NEEDS_8_BITS and is_float:
            raise ConfigError(f"{place} '{name}': needs 8-bit pixels. Move it before 'ToTensor'.")
        if name in PHOTOMETRIC and is_normalised:
            raise ConfigError(
                f"{place} '{name}': would change normalised values as if they were pixels. "
                "Move it before 'Normalize'."
            )
        if name == "Normalize":
            _check_normalize(config, place, is_float, is_normalised)
            is_normalised = True
        is_float = is_float or name in TO_FLOAT


def _check_normalize(
    config: Mapping[str, Any], place: str, is_float: bool, is_normalised: bool
) -> None:
    """Check one `Normalize` step; raise a ConfigError if it cannot be right."""
    if is_normalised:
        raise ConfigError(f"{place} 'Normalize': the image is normalised already. Remove one.")
    if not is_float:
        raise ConfigError(
            f"{place} 'Normalize': the image still has 8-bit levels here. "
            "Put dict(type='ToTensor') before it."
        )
    mean, std = config.get("mean", ()), config.get("std", ())
    if max([*mean, *std], default=0) > 5:
        raise ConfigError(
            f"{place} 'Normalize': mean={mean}, std={std} are levels 0..255, but 'ToTensor' gives "
            "0..1. Divide them by 255."
        )


def warn_about_quality(steps: Sequence[Mapping[str, Any]], where: str) -> None:
    """Log a warning for every step that makes an image's quality label wrong."""
    for name, config, place in flatten(steps, where):
        if name in ALTERING:
            logger.warning(
                "%s '%s' alters the image, but its quality score stays the same. "
                "RandomCrop without resizing and RandomHorizontalFlip are safe.",
                place,
                name,
            )
        if name == "RandomCrop" and (config.get("pad_if_needed") or config.get("padding")):
            logger.warning(
                "%s 'RandomCrop' pads images with borders that they do not have. "
                "'QualityRandomCrop' enlarges small images instead.",
                place,
            )
        size = config.get("size")
        if name == "Resize" and isinstance(size, Sequence) and len(size) == 2:
            logger.warning(
                "%s 'Resize': size=(%d, %d) is (height, width), and every image is squeezed into "
                "it. size=%d keeps the aspect (it is the shorter edge).",
                place,
                *size,
                min(size),
            )


def flatten(steps: Sequence[Mapping[str, Any]], where: str) -> Iterator[Step]:
    """Yield every step, those inside `RandomApply` and the like after their container."""
    for index, config in enumerate(steps):
        place = f"{where}[{index}]"
        yield str(config["type"]).rpartition(".")[2], config, place
        yield from flatten(config.get("transforms") or (), f"{place}.transforms")
