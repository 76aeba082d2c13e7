"""Images as callers give them: files, folders, patterns, images in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from cliqa.datasets.image_listing import find_images
from cliqa.utils.errors import DatasetError

Picture: TypeAlias = "Image.Image | np.ndarray"
"""An image in memory: a Pillow image, or an array (H, W) or (H, W, 3)."""

Images: TypeAlias = "str | Path | Picture | Sequence[str | Path | Picture]"
"""One image or several: files, folders, patterns such as ``set/**/*.jpg``, images in memory."""


def as_list(images: Images) -> list[str | Path | Picture]:
    """Return one image or several as a list; the first axis of (N, H, W, 3) counts images."""
    if isinstance(images, (str, Path, Image.Image)):
        return [images]
    if isinstance(images, np.ndarray) and images.ndim < 4:
        return [images]
    return list(images)


def image_files(
    images: Sequence[str | Path | Picture], folder: Path, recursive: bool
) -> Iterator[tuple[Path, str]]:
    """Yield the files of all images with the names to show.

    Images in memory become files, so that every image goes the same way through the decoder.
    """
    for index, image in enumerate(images):
        if isinstance(image, (str, Path)):
            yield from ((path, str(path)) for path in find_images([image], recursive))
        else:
            yield _written(image, folder / f"{index}.tif"), f"image {index}"


def _written(image: Picture, path: Path) -> Path:
    """Write an image without loss.

    Raises:
        DatasetError: It is no image that a file can hold.
    """
    try:
        picture = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
        picture.save(path)
    except (TypeError, ValueError, OSError, AttributeError) as error:
        kind = f"{type(image).__name__} {getattr(image, 'shape', '')}".strip()
        raise DatasetError(
            f"image {path.stem}: {kind} cannot be used ({error}). Give a file, a Pillow image, or "
            "an array (H, W, 3) of uint8."
        ) from error
    return path
