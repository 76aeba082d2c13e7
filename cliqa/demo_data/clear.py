"""A small CLEAR data set of painted images, whose classes drift from bucket to bucket."""

from __future__ import annotations

import datetime
import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cliqa.datasets.clear.prepare import write_training_folder
from cliqa.datasets.clear.writing import PlacedImage, write_part
from cliqa.datasets.storage import progress
from cliqa.demo_data.generator import check_numbers, write_once
from cliqa.demo_data.painting.clear_objects import CLASSES, paint_object
from cliqa.registry import GENERATORS
from cliqa.utils.errors import ConfigError

_LEAST = {"classes": 2, "buckets": 1, "images": 1, "size": 16, "seed": 0}
_FIRST_ID = 10_000_000
_VERSION = 1
"""Raised when the same arguments write different data: older folders are then refused."""


@GENERATORS.register_module()
@dataclass(frozen=True)
class ClearData:
    """A generator of a data set in CLEAR's old layout, with its splits.

    Args:
        classes: K, how many classes.
        buckets: How many buckets of time.
        images: Images of each class and bucket.
        size: The images' side in pixels.
        seed: Another seed makes other images.
        drift: How far the look of all classes moves from the first bucket to the last, 0..2; at 0
            the buckets look alike.

    Raises:
        ConfigError: A number is out of range.
    """

    classes: int = 5
    buckets: int = 4
    images: int = 24
    size: int = 32
    seed: int = 0
    drift: float = 1.0

    def __post_init__(self) -> None:
        check_numbers(self, _LEAST)
        if self.classes > len(CLASSES):
            raise ConfigError(
                f"ClearData: classes={self.classes}: only {len(CLASSES)} can be painted."
            )
        known = isinstance(self.drift, (int, float)) and math.isfinite(self.drift)
        if not known or not 0 <= self.drift <= 2:
            raise ConfigError(f"ClearData: drift must lie in 0..2, got {self.drift!r}.")

    def write(self, root: str | Path) -> None:
        """Write the data set into a folder, unless it is there already; see `write_once`."""
        arguments = {"generator": "ClearData", **asdict(self), "version": _VERSION}
        write_once(root, arguments, self._fill)

    def _fill(self, folder: Path, title: str) -> int:
        """Write the data set into a folder and return the number of images."""
        names = CLASSES[: self.classes]
        total = self.classes * self.buckets * self.images
        placed = {
            str(bucket + 1): {
                name: [self._image(bucket, target, k) for k in range(self.images)]
                for target, name in enumerate(names)
            }
            for bucket in range(self.buckets)
        }
        with progress(total, title) as bar:
            write_part(folder, names, placed, bar)
            write_training_folder(folder)
        return total

    def _image(self, bucket: int, target: int, place: int) -> PlacedImage:
        """Return one image of a bucket and class, to be painted when it is written."""
        number = _FIRST_ID + (bucket * self.classes + target) * self.images + place
        days = 365 * bucket + 360 * place // self.images
        taken = datetime.datetime(2004, 1, 1, 12) + datetime.timedelta(days=days, minutes=target)
        record = {"ID": str(number), "EXT": "jpg", "DATE_TAKEN": f"{taken}.0"}
        write = partial(self._paint, bucket, target, place)
        return PlacedImage(str(number), ".jpg", record, write)

    def _paint(self, bucket: int, target: int, place: int, path: Path) -> None:
        """Paint one image into its file."""
        rng = np.random.default_rng([self.seed, bucket, target, place])
        time = self.drift * bucket / max(self.buckets - 1, 1)
        pixels = paint_object(CLASSES[target], self.size, time, rng)
        Image.fromarray(pixels).save(path, quality=92)
