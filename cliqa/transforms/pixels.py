"""From an image file to its bytes, and to pixels by Pillow: without torch."""

from __future__ import annotations

import functools
import stat
from pathlib import Path

import numpy as np

from cliqa.transforms.image_file import max_pixels, open_image
from cliqa.transforms.levels import to_rgb
from cliqa.utils.errors import DatasetError

GREY_WHOLE = 65536
GREY_SHARES = (19595, 38470, 7471)
"""Shares of red, green and blue in grey (ITU-R BT.601) of `GREY_WHOLE`, to which they sum."""

_LARGEST_PIXEL = 16
"""Bytes of a pixel in the largest kind of file, four bands of 32 bits."""
_ROOM = 2**26
"""Bytes that a file may have beside its pixels: thumbnails, profiles."""


def read_pixels(path: str | Path) -> np.ndarray:
    """Read an image as 8-bit RGB (H, W, 3), the pixels of `cliqa.transforms.decode.read_image`.

    Raises:
        DatasetError: The file is missing, truncated, too large, or no image.
    """
    path = Path(path)
    return pixels_of(read_bytes(path), path)


def pixels_of(data: bytes, path: Path) -> np.ndarray:
    """Return uint8 (H, W, 3) of a file's content; raise a DatasetError that names the file."""
    with open_image(path, data) as image:
        return to_rgb(image, path, functools.partial(open_image, path, data))


def read_bytes(path: Path) -> bytes:
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
