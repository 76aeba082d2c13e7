"""A user's photographs as pristine images: no photograph is in two data sets or two splits."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from cliqa.datasets.image_listing import find_path, list_images, log_others
from cliqa.datasets.splits import seeded_splits
from cliqa.transforms.decode import read_image
from cliqa.transforms.image_file import IMAGE_SUFFIXES
from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path

PhotosBySplit = dict[str, list[Path]]
"""One data set's photographs by split."""


def find_photos(folder: str | Path, wanted: int) -> list[Path]:
    """Return the image files of a folder (not of its subfolders), sorted by name.

    Raises:
        DatasetError: There is no such folder, or it has fewer images than `wanted`.
    """
    path = find_path(home_path(folder))
    if not path.is_dir():
        raise DatasetError(f"photos: no folder {path} (from {Path.cwd()}).")
    others: list[str] = []
    found = sorted(map(Path, list_images(path, others, recursive=False)))
    log_others(path, others)
    if not found:
        raise DatasetError(
            f"photos: no image in {path}. Files that end with {', '.join(IMAGE_SUFFIXES)} "
            "count, those in subfolders do not."
        )
    if len(found) < wanted:
        raise DatasetError(
            f"photos: {path} has {len(found)} photographs, at least {wanted} are needed: train, "
            "val and test of three data sets share none. Add photographs, or leave photos out to "
            "have scenes painted."
        )
    return found


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
