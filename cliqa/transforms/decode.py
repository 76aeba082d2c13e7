"""From an image file to pixels: what the file holds, as 8-bit RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torchvision.io import ImageReadMode, decode_image

from cliqa.transforms.image_file import check_size, open_image
from cliqa.transforms.image_header import read_header
from cliqa.transforms.pixels import GREY_SHARES, GREY_WHOLE, pixels_of, read_bytes
from cliqa.utils.errors import ConfigError

Backend = Literal["auto", "pil"]


def read_image(
    path: str | Path, backend: Backend = "auto", shorter_edge: int | None = None
) -> torch.Tensor:
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
        shorter_edge: Decode a JPEG at a half, a quarter or an eighth of its size where its shorter
            edge is then still so many pixels (libjpeg's scaled inverse DCT). It is faster, and the
            pixels after a resize to that edge are others. None for the full size.

    Returns:
        uint8 (3, H, W).

    Raises:
        ConfigError: The backend is unknown.
        DatasetError: The file is missing, truncated, too large, or no image.
    """
    if backend not in ("auto", "pil"):
        raise ConfigError(f"image backend '{backend}' is unknown. Use 'auto' or 'pil'.")
    path = Path(path)
    data = read_bytes(path)
    if shorter_edge is not None:
        smaller = _decode_smaller(data, path, shorter_edge)
        if smaller is not None:
            return smaller
    return image_of(data, path) if backend == "auto" else _decode_with_pillow(data, path)


def image_of(data: bytes, path: Path) -> torch.Tensor:
    """Return the pixels of a file's content, uint8 (3, H, W), as `read_image` does.

    Args:
        data: The content.
        path: What the error message calls it; nothing is opened.

    Raises:
        DatasetError: It is truncated, too large, or no image.
    """
    image = _decode_with_torchvision(data, path)
    return image if image is not None else _decode_with_pillow(data, path)


def _decode_smaller(data: bytes, path: Path, edge: int) -> torch.Tensor | None:
    """Return a JPEG's pixels at a half, a quarter or an eighth of its size; None if none fits."""
    header = read_header(data)
    if header is None or header.kind != "JPEG":
        return None
    shorter = min(header.width, header.height)
    factor = next((k for k in (8, 4, 2) if shorter // k >= edge), None)
    if factor is None:
        return None
    with open_image(path, data) as image:
        if image.mode not in ("RGB", "L"):
            return None
        image.draft(image.mode, (header.width // factor, header.height // factor))
        return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()


def to_grey(image: torch.Tensor) -> torch.Tensor:
    """Return RGB pixels, uint8 (..., 3, H, W), as grey ones (..., 1, H, W), as Pillow's ``L``.

    An image without colour keeps its levels. Torchvision's shares of red, green and blue sum to
    0.9999 and its result is cut, not rounded: it darkens such an image by one level.
    """
    shares = torch.tensor(GREY_SHARES, dtype=torch.int32, device=image.device).view(3, 1, 1)
    total = (image.to(torch.int32) * shares).sum(-3, keepdim=True, dtype=torch.int32)
    return total.add_(GREY_WHOLE // 2).div_(GREY_WHOLE, rounding_mode="floor").to(torch.uint8)


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
    return torch.from_numpy(pixels_of(data, path)).permute(2, 0, 1).contiguous()
