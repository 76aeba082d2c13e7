"""Generated images for measurements of speed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter


def paint(folder: Path, count: int, width: int = 1024, height: int = 768) -> list[Path]:
    """Write JPEGs with the detail of photographs; return their paths."""
    paths = []
    for k in range(count):
        random = np.random.default_rng(k)
        image = np.zeros((height, width, 3))
        for cells in (4, 16, 64, 256):  # ever finer and fainter: about 1/f, as in photographs
            coarse = random.integers(0, 256, (3 * cells // 4, cells, 3), dtype=np.uint8)
            layer = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            image += np.asarray(layer, dtype=float) / cells**0.5
        image = 255 * (image - image.min()) / np.ptp(image)
        paths.append(folder / f"{k}.jpg")
        Image.fromarray(image.astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def blurred(paths: Sequence[Path], folder: Path, count: int) -> list[Path]:
    """Write an image of each of so many levels of blur; return their paths."""
    found = []
    for level in range(count):
        with Image.open(paths[level % len(paths)]) as image:
            found.append(folder / f"blurred{level:02}.png")
            image.filter(ImageFilter.GaussianBlur(level / 4)).save(found[-1])
    return found
