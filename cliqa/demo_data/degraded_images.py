"""One degraded image with its true distortion and quality."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cliqa.demo_data.campaigns import Campaign
from cliqa.demo_data.distortions import degrade, to_bytes
from cliqa.demo_data.photos import crop_photo
from cliqa.demo_data.similarity import ssim

_QUALITY, _FULL_COLOUR = 95, 0


@dataclass(frozen=True)
class DegradedImage:
    """A degraded image as it is stored.

    Attributes:
        jpeg: The file's content.
        source: The scene's or the photograph's name.
        distortion: The distortion's name.
        severity: Its strength, 0..1.
        quality: The true quality, 0..1, before the raters' noise.
    """

    jpeg: bytes
    source: str
    distortion: str
    severity: float
    quality: float


def degrade_scene(campaign: Campaign, size: int, rng: np.random.Generator) -> DegradedImage:
    """Return a painted scene with one of the data set's distortions.

    The quality is 1 - impact x severity. Storing the image adds the same slight compression to
    all of them, so it does not enter.
    """
    image = campaign.scene(size, rng)
    shares = {name: own.share for name, own in campaign.painted.items()}
    name, severity = _draw_distortion(shares, rng)
    jpeg = encode(degrade(image, name, severity, rng))
    quality = 1.0 - campaign.painted[name].impact * severity
    return DegradedImage(jpeg, campaign.scene_name, name, severity, quality)


def degrade_photo(
    campaign: Campaign, photo: Path, size: int, rng: np.random.Generator
) -> DegradedImage:
    """Return a crop of a photograph with one of the campaign's distortions.

    The quality is SSIM**1.5 between the pristine crop and the file as it is stored, compression
    included (the power spreads the upper range, where most of SSIM's values lie).

    Raises:
        DatasetError: The photograph cannot be decoded, or is too small.
    """
    pristine = crop_photo(photo, size, rng)
    name, severity = _draw_distortion(campaign.photographed, rng)
    jpeg = encode(degrade(pristine, name, severity, rng))
    similarity = ssim(pristine, np.asarray(Image.open(io.BytesIO(jpeg), formats=("JPEG",))))
    return DegradedImage(jpeg, photo.name, name, severity, max(similarity, 0.0) ** 1.5)


def _draw_distortion(shares: Mapping[str, float], rng: np.random.Generator) -> tuple[str, float]:
    """Return a distortion, drawn by the shares, and a severity."""
    names = list(shares)
    return names[rng.choice(len(names), p=list(shares.values()))], float(rng.random())


def encode(image: np.ndarray) -> bytes:
    """Return an image (H, W, 3) in 0..1 as a JPEG of quality 95 with colour at full resolution.

    The official file names end with .jpg; this is the least compression that honours them without
    doubling the files' size.
    """
    buffer = io.BytesIO()
    Image.fromarray(to_bytes(image)).save(
        buffer, format="JPEG", quality=_QUALITY, subsampling=_FULL_COLOUR
    )
    return buffer.getvalue()
