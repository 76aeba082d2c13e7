"""A user's photographs as pristine images: no photograph is in two data sets or two splits."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cliqa.datasets.splits import seeded_splits
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import DatasetError

PhotosBySplit = dict[str, list[Path]]
"""One data set's photographs by split."""


def fingerprint(photos: Sequence[Path]) -> str:
    """Return a digest of the photographs' names and sizes in bytes."""
    rows = "\n".join(f"{photo.name}\t{photo.stat().st_size}" for photo in photos)
    return hashlib.sha256(rows.encode()).hexdigest()


def assign_photos(
    photos: Sequence[Path], sets: int, counts: Sequence[int], seed: int
) -> list[PhotosBySplit]:
    """Return each data set's photographs by split; no photograph comes twice.

    They are assigned in proportion to `counts`, how many images train, val and test will have, but
    at least one to each: `photos` are at least 3 for each of so many `sets`, or none at all.
    """
    order = np.random.default_rng([seed, 3]).permutation(len(photos))
    shares = [count / sum(counts) for count in counts]
    assigned: list[PhotosBySplit] = [{"train": [], "val": [], "test": []} for _ in range(sets)]
    for k in range(sets if photos else 0):
        own = [photos[i] for i in order[k::sets]]
        splits = seeded_splits([photo.name for photo in own], shares, seed, where="photos")
        for photo, split in zip(own, splits, strict=True):
            assigned[k][split].append(photo)
    return assigned


def crop_photo(photo: Path, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random square of a photograph, shrunk to `size` pixels a side.

    The square has 40 to 100 per cent of the photograph's shorter side, and `size` pixels at least;
    its place, its size and whether it is mirrored are drawn. The result is float32 in 0..1.

    Raises:
        DatasetError: The file cannot be decoded, or is smaller than `size`.
    """
    image = _decoded(photo)
    height, width = image.shape[:2]
    shorter = min(height, width)
    if shorter < size:
        raise DatasetError(
            f"{photo}: {width} x {height} pixels, smaller than the wanted {size} x {size}. "
            f"Set size={shorter} or less, or take the photograph out of the folder."
        )
    side = max(size, round(shorter * rng.uniform(0.4, 1.0)))
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    square = image[top : top + side, left : left + side]
    square = square[:, ::-1] if rng.random() < 0.5 else square
    small = Image.fromarray(np.ascontiguousarray(square)).resize((size, size), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255.0


@functools.lru_cache(maxsize=1)
def _decoded(photo: Path) -> np.ndarray:
    """Return uint8 (H, W, 3); the last photograph is remembered."""
    return np.ascontiguousarray(read_image(photo).permute(1, 2, 0).numpy())
