"""Opening untrusted image files: the formats that are read, and how large an image may be.

Pillow knows forty formats. Some start a program (EPS starts Ghostscript), some are read by code
that is hardly tested. The whole package opens images here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageFile

from cliqa.utils.errors import CliqaError, ConfigError, DatasetError

LIMIT = "CLIQA_MAX_IMAGE_PIXELS"
"""The environment variable with the most pixels that an image may have."""

_FORMATS = {
    "AVIF": (".avif",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "JPEG": (".jfif", ".jpe", ".jpeg", ".jpg", ".mpo"),  # an MPO is a JPEG, with more after it
    "JPEG2000": (".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),
    "PNG": (".apng", ".png"),
    "PPM": (".pbm", ".pgm", ".pnm", ".ppm"),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
}
HEIF_SUFFIXES = (".heic", ".heif")
_HEIF_LIBRARY = "pillow_heif"


@functools.cache
def image_formats() -> tuple[str, ...]:
    """Return the formats that are read, in Pillow's words, as far as this Pillow has them."""
    names = ["DIB", *_FORMATS]  # a DIB is a BMP without its file header
    with contextlib.suppress(ImportError, AttributeError, OSError):
        library = importlib.import_module(_HEIF_LIBRARY)
        library.register_heif_opener()
        names.append("HEIF")
    Image.init()
    return tuple(sorted(name for name in names if name in Image.OPEN))


def _image_suffixes() -> tuple[str, ...]:
    """Return the suffixes of the formats that are read, sorted."""
    known = [suffix for suffixes in _FORMATS.values() for suffix in suffixes]
    if importlib.util.find_spec(_HEIF_LIBRARY) is not None:
        known += HEIF_SUFFIXES
    return tuple(sorted(known))


IMAGE_SUFFIXES = _image_suffixes()
"""Suffixes of image files, in small letters; HEIF's if pillow-heif is installed."""


def max_pixels() -> int | None:
    """Return the most pixels that an image may have, None for any number.

    It is the number in the environment variable ``CLIQA_MAX_IMAGE_PIXELS``, which the processes of
    data loaders inherit; without one, where Pillow itself refuses: 2 x ``Image.MAX_IMAGE_PIXELS``,
    178 956 970.

    Raises:
        ConfigError: The variable holds no whole number of at least 1.
    """
    text = os.environ.get(LIMIT)
    if text is None:
        return None if Image.MAX_IMAGE_PIXELS is None else 2 * Image.MAX_IMAGE_PIXELS
    if not text.strip().isdecimal() or not int(text):
        raise ConfigError(
            f"the environment variable {LIMIT} must be a whole number of at least 1, got {text!r}."
        )
    limit = int(text)
    if Image.MAX_IMAGE_PIXELS is not None and limit > 2 * Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = -(-limit // 2)  # Pillow checks too, wherever its decoders allocate
    return limit


def check_size(width: int, height: int, path: str | Path) -> None:
    """Refuse an image that declares more pixels than `max_pixels`, or none.

    Raises:
        DatasetError: It does.
    """
    pixels, limit = width * height, max_pixels()
    if pixels <= 0:
        raise DatasetError(
            f"{path}: cannot be decoded (it declares {width} x {height} pixels). Copy or download "
            "the file again."
        )
    if limit is not None and pixels > limit:
        raise DatasetError(
            f"{path}: declares {width} x {height} pixels, more than the {limit} that an image may "
            "have. Downscale the image before using it; if you trust it, set the environment "
            f"variable {LIMIT}={pixels}."
        )


@contextlib.contextmanager
def open_image(path: str | Path, data: bytes | None = None) -> Iterator[ImageFile.ImageFile]:
    """Open an image of one of the `image_formats` with Pillow; its size is checked.

    What Pillow raises inside the block over a damaged file becomes a DatasetError too, and what it
    warns about is not shown.

    Args:
        path: The file.
        data: Its content, where that has been read already.

    Yields:
        The image, of which nothing is decoded yet.

    Raises:
        DatasetError: The file is missing, damaged, too large, or none of these formats.
    """
    path = Path(path)
    max_pixels()  # raises Pillow's own limit to ours
    try:
        source = path if data is None else io.BytesIO(data)
        with _QUIET, Image.open(source, formats=image_formats()) as image:
            check_size(*image.size, path)
            yield image
    except CliqaError:
        raise
    except FileNotFoundError as error:
        raise DatasetError(f"{path}: no such image file.") from error
    except Image.DecompressionBombError as error:  # Pillow's own limit may be another one
        raise DatasetError(
            f"{path}: declares more pixels than the {max_pixels()} that an image may have. "
            "Downscale the image before using it; if you trust it, set the environment variable "
            f"{LIMIT} to its pixels."
        ) from error
    except Exception as error:  # noqa: BLE001  Pillow's readers have no errors of their own
        raise DatasetError(
            f"{path}: cannot be decoded ({_reason(error)}). Copy or download the file again."
        ) from error


def _reason(error: Exception) -> str:
    """Return what is wrong with a file, in one line."""
    text = " ".join(str(error).split()).rstrip(".")
    if text.startswith("cannot identify image file"):  # Pillow names the buffer
        return (
            f"it holds no image that is read, which are {', '.join(image_formats())}, or a damaged "
            "or unusual one"
        )
    return text or type(error).__name__


class _Quiet:
    """Silences Python's warnings while any thread is inside.

    `warnings.catch_warnings` alone would not do: its threads undo each other's settings.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._saved.__exit__(None, None, None)


_QUIET = _Quiet()
