"""From Pillow's modes to 8 bits: which value is black and which is white."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from cliqa.utils.errors import DatasetError

logger = logging.getLogger(__name__)

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
"""TIFF's numbers of these tags."""
_ROWS = 256
_ADVICE = "Save it as a PNG of 8 or 16 bits, where every value has a fixed meaning."
_PLAIN = {"La": "LA", "RGBa": "RGBA"}
"""Modes that Pillow turns to RGB by way of another alone."""

Opener = Callable[[], AbstractContextManager[ImageFile.ImageFile]]


def to_rgb(image: ImageFile.ImageFile, path: Path, reopen: Opener) -> np.ndarray:
    """Return an image's pixels as 8-bit RGB (H, W, 3); see `read_image` for each mode.

    `reopen` opens the same image once more, from the start.

    Raises:
        DatasetError: The file does not say which value is white, and its values leave it open.
    """
    if image.mode.startswith("I;16"):
        return _grey(_sixteen_bit_levels(image))
    if image.mode == "I":
        if image.format == "TIFF":
            return _grey(_open_range_levels(image, path, "whole numbers"))
        return _grey(_by_rows(np.asarray(image), _scale_16_bits))
    if image.mode == "F":
        return _grey(_open_range_levels(image, path, "floating-point numbers"))
    raw = _raw_mode(image)
    if len(raw) == 1 and 16 in getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ()):
        raise DatasetError(
            f"{path}: an uncompressed TIFF of 16 bits with its bands apart, which Pillow takes for "
            f"8 bits. {_ADVICE}"
        )
    whole: Image.Image = _join_bytes(image, raw, reopen) if raw in _OTHER_BYTES else image
    if whole.mode in _PLAIN:
        whole = whole.convert(_PLAIN[whole.mode])
    return np.array(whole.convert("RGB"))


def _grey(levels: np.ndarray) -> np.ndarray:
    """Return grey levels (H, W) as RGB (H, W, 3)."""
    return np.repeat(levels[:, :, None], 3, axis=2)


def _by_rows(values: np.ndarray, level: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Apply `level` to an image (H, W, ...), some rows at a time to save memory; return uint8."""
    levels = np.empty(values.shape, dtype=np.uint8)
    for top in range(0, len(values), _ROWS):
        levels[top : top + _ROWS] = level(values[top : top + _ROWS])
    return levels


def _scale_16_bits(values: np.ndarray) -> np.ndarray:
    """Return 16-bit values as 8-bit levels, rounded: 65535 = 255 * 257, so no half occurs.

    >>> _scale_16_bits(np.array([0, 128, 129, 65535])).tolist()
    [0, 0, 1, 255]
    """
    levels: np.ndarray = (values.astype(np.int64).clip(0, 65535) + 128) // 257
    return levels


def _scale_12_bits(values: np.ndarray) -> np.ndarray:
    """Return 12-bit values as 8-bit levels, rounded; no half occurs, as 4095 is odd.

    >>> _scale_12_bits(np.array([0, 8, 9, 4095])).tolist()
    [0, 0, 1, 255]
    """
    levels: np.ndarray = (values.astype(np.int64) * 255 + 2047) // 4095
    return levels


def _sixteen_bit_levels(image: Image.Image) -> np.ndarray:
    """Return the 8-bit levels (H, W) of unsigned 16-bit grey, of which a TIFF may use 12 bits."""
    twelve = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) == (12,)
    levels = _by_rows(np.asarray(image), _scale_12_bits if twelve else _scale_16_bits)
    return 255 - levels if _white_is_zero(image) else levels


def _white_is_zero(image: Image.Image) -> bool:
    """Return whether 0 is white in a TIFF; Pillow handles that for 8 bits only."""
    return getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0


def _open_range_levels(image: Image.Image, path: Path, kind: str) -> np.ndarray:
    """Return the 8-bit levels (H, W) of a mode whose files do not say what white is."""
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise DatasetError(f"{path}: a pixel is NaN or infinite. Correct it, and save it as a PNG.")
    low, high = float(values.min()), float(values.max())
    whole = image.mode == "I" or not (values % 1.0).any()
    if low < 0 or high > 65535:
        raise DatasetError(
            f"{path}: its pixels are {kind} from {low:g} to {high:g}, in none of the ranges 0..1, "
            f"0..255 and 0..65535, so black and white are not known. {_ADVICE}"
        )
    if image.mode == "F" and whole and high == 1.0:
        raise DatasetError(
            f"{path}: its pixels are 0 and 1 in floating point: white may be 1, or 255. {_ADVICE}"
        )
    white = next(w for w in ((255, 65535) if whole else (1, 255, 65535)) if high <= w)
    if high > 0:
        _log_range(path, kind, white)
    levels = _by_rows(values, lambda rows: np.floor(rows * (255.0 / white) + 0.5))
    return 255 - levels if _white_is_zero(image) else levels


_LOGGED: set[tuple[str, int]] = set()


def _log_range(path: Path, kind: str, white: int) -> None:
    """Log the assumed white level, once for each range."""
    if (kind, white) not in _LOGGED:
        _LOGGED.add((kind, white))
        logger.warning(
            "%s: its pixels are %s, and such a file does not say what white is. By its values "
            "%d was taken for white, here and wherever the values are alike. If that is wrong: %s",
            *(path, kind, white, _ADVICE),
        )


_OTHER_BYTES = {
    f"{bands};16{order}": f"{bands};16{other}"
    for bands in ("RGB", "RGBA", "RGBX", "CMYK")
    for order, other in {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}.items()
} | {"LA;16B": "RGBA"}
"""Pillow reads 16 bits of several bands as their high bytes, and under these names as the low."""


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Return Pillow's raw mode: the layout of the pixels in the file."""
    args = image.tile[0][3] if image.tile else ""
    args = args[0] if isinstance(args, tuple) and args else args
    return args if isinstance(args, str) else ""


def _join_bytes(image: Image.Image, raw: str, reopen: Opener) -> Image.Image:
    """Return an image of several 16-bit bands rounded to 8 bits."""
    with reopen() as second:
        second.tile = [_with_other_bytes(tile, raw) for tile in second.tile]
        low = np.asarray(second)
        mode = image.mode
        if raw == "LA;16B":  # grey's high and low byte, then alpha's
            high, low, mode = low[..., 0], low[..., 1], "L"
        else:
            high = np.asarray(image)
        values = high.astype(np.uint16) * 256 + low
    return Image.frombytes(mode, image.size, _by_rows(values, _scale_16_bits).tobytes())


def _with_other_bytes(tile: Any, raw: str) -> Any:  # noqa: ANN401
    """Return a tile of a file with the other bytes' name; it is a tuple, with names or without."""
    *place, args = tile
    args = (_OTHER_BYTES[raw], *args[1:]) if isinstance(args, tuple) else _OTHER_BYTES[raw]
    return tile._make([*place, args]) if hasattr(tile, "_make") else (*place, args)
