"""From an image file to pixels: what the file holds, as 8-bit RGB."""

from __future__ import annotations

import functools
import stat
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_image

from cliqa.transforms.image_file import check_size, max_pixels, open_image
from cliqa.transforms.image_header import read_header
from cliqa.transforms.levels import to_rgb
from cliqa.utils.errors import ConfigError, DatasetError

Backend = Literal["auto", "pil"]

_LARGEST_PIXEL = 16
"""Bytes of a pixel in the largest kind of file, four bands of 32 bits."""
_ROOM = 2**26
"""Bytes that a file may have beside its pixels: thumbnails, profiles."""


def read_image(path: str | Path, backend: Backend = "auto") -> torch.Tensor:
    """Read an image as RGB.

    The pixels are the stored ones: an EXIF rotation is not applied, an alpha channel is dropped,
    and of an animation the first frame is taken. Each mode has its own range:

    ======================================  ======================================================
    8 bits or fewer, palettes, CMYK, LAB,   as Pillow's ``convert("RGB")``
    YCbCr, HSV, premultiplied alpha
    16 bits, grey or of several bands       0..65535, rounded (0..4095 of a 12-bit TIFF); only JPEG
                                            2000, AVIF, and TIFF with premultiplied alpha or with
                                            bands apart are cut to 8 bits by their decoders
    floating point, and whole numbers of    such files do not say what white is: the first of 1
    32 or signed 16 bits in TIFF            (unless all values are whole), 255 and 65535 that no
                                            value exceeds. It is logged once per range. Other
                                            values, and floats that are all 0 or 1, are refused
    ======================================  ======================================================

    Args:
        path: The file: JPEG, PNG, WebP, BMP, TIFF, GIF, PPM, AVIF, JPEG 2000, and HEIF where the
            package pillow-heif is there; of at most `max_pixels` pixels.
        backend: ``"auto"`` decodes JPEG, PNG and WebP with torchvision, faster than Pillow and
            bit-equal to it, and hands the rest to Pillow; ``"pil"`` uses Pillow alone.

    Returns:
        uint8 (3, H, W).

    Raises:
        ConfigError: The backend is unknown.
        DatasetError: The file is missing, truncated, too large, or no image.
    """
    if backend not in ("auto", "pil"):
        raise ConfigError(f"image backend '{backend}' is unknown. Use 'auto' or 'pil'.")
    path = Path(path)
    data = _read(path)
    image = _decode_with_torchvision(data, path) if backend == "auto" else None
    return image if image is not None else _decode_with_pillow(data, path)


def _read(path: Path) -> bytes:
    """Return the content of a plain file that is no larger than any image."""
    try:
        status = path.stat()
        limit = max_pixels()
        if not stat.S_ISREG(status.st_mode):
            raise DatasetError(
                f"{path}: cannot be read (it is not a regular file). Give an image file."
            )
        if limit is not None and status.st_size > _ROOM + _LARGEST_PIXEL * limit:
            raise DatasetError(
                f"{path}: {status.st_size} bytes, more than an image of {limit} pixels can have. "
                "Downscale the image before using it."
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such image file.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path}: cannot be read ({reason}).") from error
    if not data:
        raise DatasetError(f"{path}: the image file is empty. Copy or download it again.")
    return data


def _decode_with_torchvision(data: bytes, path: Path) -> torch.Tensor | None:
    """Return uint8 (3, H, W), or None for what torchvision cannot decode.

    Only formats for which Pillow gives the same pixels: of a GIF it would decode every frame.
    """
    header = read_header(data)
    if header is None:
        return None
    check_size(header.width, header.height, path)
    encoded = torch.from_numpy(np.frombuffer(data, dtype=np.uint8).copy())
    try:
        image = decode_image(encoded, ImageReadMode.RGB)
    except RuntimeError:  # an unknown kind, or a damaged file: Pillow decides
        return None
    if image.ndim != 3 or image.shape[0] != 3:
        return None
    return image if image.dtype == torch.uint8 else _to_8_bits(image)


def _to_8_bits(image: torch.Tensor) -> torch.Tensor:
    """Return 16-bit levels (0..65535) as 8-bit levels, rounded; 65535 = 255 * 257."""
    levels = image.to(torch.int32).add_(128)
    return levels.div_(257, rounding_mode="floor").to(torch.uint8)


def _decode_with_pillow(data: bytes, path: Path) -> torch.Tensor:
    """Return uint8 (3, H, W), or raise a DatasetError that names the file."""
    with open_image(path, data) as image:
        pixels = to_rgb(image, path, functools.partial(open_image, path, data))
        return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
