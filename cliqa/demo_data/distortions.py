"""Distortions with one continuous severity, from hardly visible at 0 to severe at 1."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image
from scipy import ndimage

from cliqa.utils.errors import DatasetError

Distortion = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
"""(image (H, W, 3) in 0..1, severity in 0..1, generator) -> image (H, W, 3) in 0..1."""

_SOFTEST_JPEG, _HARSHEST_JPEG = 50.0, 4.0


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Return a float image (H, W, 3) in 0..1 as uint8, rounded and not truncated."""
    return np.rint(np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8)


def blur(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Blur with a Gaussian of 0.3 to 3 pixels per 100 pixels of image height."""
    sigma = (0.3 + 2.7 * severity) * image.shape[0] / 100.0
    return ndimage.gaussian_filter(image, sigma=(sigma, sigma, 0.0), mode="reflect")


def noise(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Add white Gaussian noise of a standard deviation of 0.01 to 0.2 to every channel."""
    sigma = 0.01 + 0.19 * severity
    grain = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image + sigma * grain, 0.0, 1.0)


def jpeg(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Share the image as messengers do: shrink it by up to half, compress it, enlarge it again.

    The JPEG's quality falls geometrically from 50 to 4; quality alone leaves thumbnails of mostly
    flat areas nearly unchanged over half of that way.
    """
    height, width = image.shape[:2]
    share = 1.0 - 0.5 * severity
    quality = _SOFTEST_JPEG * (_HARSHEST_JPEG / _SOFTEST_JPEG) ** severity
    sent, buffer = Image.fromarray(to_bytes(image)), io.BytesIO()
    sent = sent.resize((round(width * share), round(height * share)), Image.Resampling.BICUBIC)
    sent.save(buffer, format="JPEG", quality=round(quality))
    with Image.open(buffer, formats=("JPEG",)) as file:
        received = file.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(received, dtype=np.float32) / 255.0


def contrast(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Overdrive the contrast around the mean by 1.1 to 8 times: lights and shadows burn out."""
    gain = 1.1 * (8.0 / 1.1) ** severity
    middle = image.mean()
    return np.clip(middle + gain * (image - middle), 0.0, 1.0)


DISTORTIONS: Mapping[str, Distortion] = MappingProxyType(
    {"blur": blur, "noise": noise, "jpeg": jpeg, "contrast": contrast}
)


def degrade(image: np.ndarray, kind: str, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Return an image (H, W, 3), float32 in 0..1, with one of the `DISTORTIONS`.

    Raises:
        DatasetError: There is no such distortion, or the severity is outside 0..1.
    """
    if kind not in DISTORTIONS:
        raise DatasetError(f"unknown distortion '{kind}'. Known: {', '.join(DISTORTIONS)}.")
    if not 0.0 <= severity <= 1.0:
        raise DatasetError(f"{kind}: the severity must be in 0..1, got {severity}.")
    return DISTORTIONS[kind](image, severity, rng)
