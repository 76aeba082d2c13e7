"""A small Fashion-MNIST in the official files: painted, or of 900 real images in one picture."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.datasets.classes.fashion_mnist import CLASS_NAMES, FILES, RAW, SIDE
from cliqa.datasets.storage import is_written, new_folder
from cliqa.demo_data.painting.garments import paint_garment
from cliqa.registry import GENERATORS
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import home_path

logger = logging.getLogger(__name__)

CLASSES = len(CLASS_NAMES)
TILES = 30
"""Tiles a side of a sprite."""

_LEAST = {"train": CLASSES, "test": CLASSES, "seed": 0}
_VERSION = 1
"""Raised when the same arguments come to write other data: older folders are then refused."""

Part = tuple[np.ndarray, np.ndarray]
"""Images, uint8 (N, 28, 28), and classes, uint8 (N,)."""


@GENERATORS.register_module()
@dataclass(frozen=True)
class FashionData:
    """A generator of the four idx files of Fashion-MNIST below ``root/FashionMNIST/raw``.

    Args:
        train: Training images in all; each class has as many as another, or one more.
        test: Test images in all.
        seed: Another seed paints other images.
        sprite: A picture of 30 x 30 tiles of 28 x 28 grey pixels, three rows a class, whose images
            are taken instead of painted ones: tiles 2, 5, 8 ... (row by row, from 0) are the 300
            test images, the others the 600 training images, in the tiles' order.

    Raises:
        ConfigError: A number is out of range, or is given for a sprite, which has its own.
    """

    train: int = 600
    test: int = 300
    seed: int = 0
    sprite: str | None = None

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(
                    f"FashionData: {name} must be a whole number >= {least}, got {value!r}."
                )
        defaults = {own.name: own.default for own in fields(self)}
        for name in ("train", "test") if self.sprite is not None else ():
            if getattr(self, name) != defaults[name]:
                raise ConfigError(
                    f"FashionData: {name}={getattr(self, name)} cannot be had from a sprite, which "
                    f"gives {defaults[name]}. Leave {name} out, or leave sprite out to have images "
                    "painted."
                )

    def write(self, root: str | Path) -> None:
        """Write the files, unless they are there already.

        The folder appears at once when all is written; a run that is stopped leaves none behind.

        Args:
            root: A new or an empty folder, or one that the same arguments have written.

        Raises:
            DatasetError: The folder holds anything else or cannot be written to, or the sprite is
                wrong.
        """
        root = home_path(root)
        arguments = self._arguments()
        if is_written(root, arguments):
            return
        parts = self._paint() if self.sprite is None else cut_sprite(self.sprite)
        with new_folder(root, arguments) as folder:
            (folder / RAW).mkdir(parents=True)
            for split, part in parts.items():
                for name, array in zip(FILES[split], part, strict=True):
                    (folder / RAW / name).write_bytes(idx_bytes(array))
        count = sum(len(images) for images, _ in parts.values())
        logger.info("Wrote %d images of Fashion-MNIST's kind to %s.", count, root)

    def _arguments(self) -> dict[str, Any]:
        """Return what the data follow from; a sprite may move, and knows no seed."""
        arguments = {own.name: getattr(self, own.name) for own in fields(self)}
        if self.sprite is not None:
            arguments |= {"sprite": _fingerprint(self.sprite), "seed": None}
        return {**arguments, "version": _VERSION}

    def _paint(self) -> dict[str, Part]:
        """Return painted images by split, in a random order of the classes."""
        parts: dict[str, Part] = {}
        for index, (split, count) in enumerate((("train", self.train), ("test", self.test))):
            order = np.random.default_rng([self.seed, index]).permutation(count)
            classes = (order % CLASSES).astype(np.uint8)
            images = [
                paint_garment(int(kind), np.random.default_rng([self.seed, index, place]))
                for place, kind in enumerate(classes)
            ]
            parts[split] = np.stack(images), classes
        return parts


def cut_sprite(path: str | Path) -> dict[str, Part]:
    """Return a sprite's training and test images; see `FashionData`.

    Args:
        path: The picture; ``~`` is resolved.

    Raises:
        DatasetError: It cannot be read, has another size, or is not grey.
    """
    path = home_path(path)
    pixels = read_image(path).numpy()  # (3, H, W)
    side = TILES * SIDE
    if pixels.shape[1:] != (side, side):
        raise DatasetError(
            f"{path}: {pixels.shape[2]} x {pixels.shape[1]} pixels are no sprite, which has "
            f"{side} x {side}: {TILES} x {TILES} tiles of {SIDE} x {SIDE}."
        )
    if (pixels != pixels[0]).any():
        raise DatasetError(f"{path}: a coloured picture is no sprite. Use one of grey tiles.")
    tiles = pixels[0].reshape(TILES, SIDE, TILES, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    places = np.arange(TILES * TILES)
    classes = (places // (len(places) // CLASSES)).astype(np.uint8)
    is_test = places % 3 == 2
    return {
        "train": (tiles[~is_test], classes[~is_test]),
        "test": (tiles[is_test], classes[is_test]),
    }


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of bytes in the idx format, which `read_idx` reads.

    >>> idx_bytes(np.array([7, 9], dtype=np.uint8)).hex(" ", 2)
    '0000 0801 0000 0002 0709'
    """
    header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, dtype=">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def _fingerprint(sprite: str) -> str:
    """Return a digest of the sprite's content."""
    path = home_path(sprite)
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DatasetError(
            f"sprite: {path} cannot be read ({error.strerror or error}). Name a picture of "
            f"{TILES} x {TILES} tiles, or leave sprite out to have images painted."
        ) from error
