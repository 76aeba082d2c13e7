"""A small data set in Fashion-MNIST's files: handwritten digits, or 900 images of a sprite."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cliqa.datasets.classes.fashion_files import FILES, RAW
from cliqa.datasets.classes.fashion_mnist import CLASS_NAMES, SIDE
from cliqa.demo_data.generator import check_numbers, write_once
from cliqa.registry import GENERATORS
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import home_path

CLASSES = len(CLASS_NAMES)
TILES = 30
"""Tiles per side of a sprite."""
DIGITS = 174
"""Images of the rarest digit; every class has as many to choose from."""

_LEAST = {"train": CLASSES, "test": CLASSES, "seed": 0}
_SMOOTH = Image.Resampling.BICUBIC
_VERSION = 2
"""Raised when the same arguments write different data: older folders are then refused."""

Part = tuple[np.ndarray, np.ndarray]
"""Images, uint8 (N, 28, 28), and classes, uint8 (N,)."""


@GENERATORS.register_module()
@dataclass(frozen=True)
class FashionData:
    """A generator of the four idx files of Fashion-MNIST below ``root/FashionMNIST/raw``.

    The images are the handwritten digits that scikit-learn ships (8 x 8 pixels, from the UCI
    repository), enlarged to 28 x 28, or the tiles of a sprite.

    Args:
        train: Number of training images. The classes' sizes differ by one at most.
        test: Number of test images.
        seed: Selects the images and their order.
        sprite: A picture of 30 x 30 tiles of 28 x 28 grey pixels, three rows for each class, whose
            tiles are the images. Tiles 2, 5, 8 ... (row by row, from 0) are the 300 test images,
            the others the 600 training images, in the tiles' order.

    Raises:
        ConfigError: A number is out of range, or is given together with a sprite.
    """

    train: int = 600
    test: int = 300
    seed: int = 0
    sprite: str | None = None

    def __post_init__(self) -> None:
        check_numbers(self, _LEAST)
        if sum(-(-count // CLASSES) for count in (self.train, self.test)) > DIGITS:
            raise ConfigError(
                f"FashionData: train={self.train} and test={self.test}: there are {DIGITS} digits "
                f"of each class, {DIGITS * CLASSES} in all. Set smaller numbers."
            )
        defaults = {own.name: own.default for own in fields(self)}
        for name in ("train", "test") if self.sprite is not None else ():
            if getattr(self, name) != defaults[name]:
                raise ConfigError(
                    f"FashionData: {name}={getattr(self, name)} does not go with a sprite, which "
                    f"has {defaults[name]} such images. Leave out {name}, or leave out sprite to "
                    "use digits."
                )

    def write(self, root: str | Path) -> None:
        """Write the files, unless they are there already.

        Raises:
            DatasetError: As `write_once`, or the sprite is wrong.
        """
        arguments: dict[str, Any] = asdict(self)
        if self.sprite is not None:  # its content decides, not its path, and no seed
            arguments |= {"sprite": _fingerprint(self.sprite), "seed": None}
        write_once(root, {**arguments, "version": _VERSION}, self._fill)

    def _fill(self, folder: Path, _: str) -> int:
        """Write the files into a folder and return the number of images."""
        parts = self._digits() if self.sprite is None else cut_sprite(self.sprite)
        (folder / RAW).mkdir(parents=True)
        for split, part in parts.items():
            for name, array in zip(FILES[split], part, strict=True):
                (folder / RAW / name).write_bytes(idx_bytes(array))
        return sum(len(images) for images, _ in parts.values())

    def _digits(self) -> dict[str, Part]:
        """Return digits by split, the classes in a random order."""
        from sklearn.datasets import load_digits  # type: ignore[import-untyped]  # noqa: PLC0415

        images, targets = load_digits(return_X_y=True)  # (1797, 64) in 0..16
        pixels = np.rint(images.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
        large = [Image.fromarray(own).resize((SIDE, SIDE), _SMOOTH) for own in pixels]
        pixels = np.stack([np.asarray(image) for image in large])
        rng = np.random.default_rng(self.seed)
        unused = [list(rng.permutation(np.flatnonzero(targets == k))) for k in range(CLASSES)]
        parts: dict[str, Part] = {}
        for split, count in (("train", self.train), ("test", self.test)):
            classes = (rng.permutation(count) % CLASSES).astype(np.uint8)
            parts[split] = pixels[[unused[k].pop() for k in classes]], classes
        return parts


def cut_sprite(path: str | Path) -> dict[str, Part]:
    """Return a sprite's training and test images; see `FashionData`.

    Raises:
        DatasetError: It cannot be read, has another size, or is not grey.
    """
    path = home_path(path)
    pixels = read_image(path).numpy()  # (3, H, W)
    side = TILES * SIDE
    if pixels.shape[1:] != (side, side):
        raise DatasetError(
            f"{path}: {pixels.shape[2]} x {pixels.shape[1]} pixels. A sprite has {side} x {side}: "
            f"{TILES} x {TILES} tiles of {SIDE} x {SIDE}."
        )
    if (pixels != pixels[0]).any():
        raise DatasetError(f"{path}: the picture has colours. A sprite has grey tiles.")
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
            f"{TILES} x {TILES} tiles, or leave sprite out to use digits."
        ) from error
