"""Long and narrow images: resizing by their shorter edge makes them huge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cliqa.transforms.image_file import LIMIT, max_pixels
from cliqa.utils.errors import DatasetError, ModelError

MOST_WEIGHTS = 2**27
"""Resampling weights that a self-contained file may need for an image: about 2 GB of memory."""


def check_enlarged(height: int, width: int) -> None:
    """Refuse a new size of more pixels than an image may have (`max_pixels`).

    Raises:
        DatasetError: It is such.
    """
    limit = max_pixels()
    if limit is not None and height * width > limit:
        raise DatasetError(
            f"it would be enlarged to {width} x {height} pixels (width x height), more than the "
            f"{limit} that an image may have: it is too long and narrow. Crop it, or set the "
            f"environment variable {LIMIT}={height * width}."
        )


def single_size(size: object) -> int | None:
    """Return the shorter edge that torchvision's ``Resize`` is given; None for height and width.

    >>> single_size(256), single_size([256]), single_size((512, 384))
    (256, 256, None)
    """
    if isinstance(size, Sequence) and len(size) == 1:
        size = size[0]
    return size if isinstance(size, int) else None


def check_weights(steps: Sequence[Mapping[str, Any]], height: int, width: int) -> None:
    """Refuse an image whose resizing in a self-contained file would take all memory.

    Raises:
        ModelError: It needs more than `MOST_WEIGHTS`.
    """
    if resampling_weights(steps, height, width) > MOST_WEIGHTS:
        raise ModelError(
            "too long and narrow to be resized in a self-contained file. Crop it, or score it with "
            "the run or a file that is not self-contained."
        )


def resampling_weights(steps: Sequence[Mapping[str, Any]], height: int, width: int) -> int:
    """Return how many weights a self-contained file needs to resize an image along its longer edge.

    >>> resampling_weights([{"type": "Resize", "size": 256}], 1, 3000)
    2304000000
    """
    short, long = sorted((height, width))
    for step in steps:
        name, size = step.get("type"), single_size(step.get("size", 224))
        resizes = {
            "Resize": True,
            "AdaptiveResize": size is not None and short > size,
            "GridCrop": size is not None and short < size,
        }
        if "Resize" in str(name) and size is None:
            return 0  # to a height and a width
        if size is not None and resizes.get(str(name), False):
            return size * long // short * long
    return 0
