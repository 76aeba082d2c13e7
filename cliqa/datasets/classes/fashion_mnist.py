"""Fashion-MNIST, 28 x 28 grey images of ten kinds of garments (Xiao et al., arXiv 1708.07747)."""

from __future__ import annotations

import functools
import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import FashionMNIST

from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.datasets.classes.download import download as download_into
from cliqa.datasets.classes.fashion_files import FILES, fashion_folder, file_path, otherwise
from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
_LARGEST = 2**29
"""Bytes that a file may unpack into."""
_ANEW = "Delete it and download or generate the data again."


def read_fashion_mnist(
    root: str | Path, download: bool = False
) -> tuple[ClassDataset, ClassDataset]:
    """Read the official idx files, packed (``.gz``) or not.

    They lie where torchvision puts them, in ``root/FashionMNIST/raw``, or in ``root/raw``, or in
    `root` itself.

    Args:
        root: The folder; ``~`` is resolved.
        download: Have torchvision download the files into ``root/FashionMNIST/raw`` if they are
            nowhere.

    Returns:
        The training and the test images, uint8 (N, 1, 28, 28), with the keys ``train/0`` to
        ``train/59999`` and ``test/0`` to ``test/9999``.

    Raises:
        DatasetError: A file is missing or damaged, or the download failed.
    """
    root = home_path(root)
    try:
        folder = fashion_folder(root)
    except DatasetError:
        if not download:
            raise
        fetch = functools.partial(FashionMNIST, str(root), train=True, download=True)
        download_into(fetch, "Fashion-MNIST", root, otherwise(root))
        folder = fashion_folder(root)
    return _read_split(folder, "train"), _read_split(folder, "test")


def _read_split(folder: Path, split: str) -> ClassDataset:
    """Return one split's images."""
    image_file, label_file = (file_path(folder, name) for name in FILES[split])
    images = read_idx(image_file, dimensions=3)  # (N, 28, 28)
    targets = read_idx(label_file, dimensions=1)  # (N,)
    if images.shape[1:] != (SIDE, SIDE):
        raise DatasetError(
            f"{image_file}: images of {images.shape[2]} x {images.shape[1]} pixels are not "
            f"Fashion-MNIST's, which have {SIDE} x {SIDE}. Use the official file."
        )
    if not 0 < len(images) == len(targets):
        raise DatasetError(
            f"{image_file} holds {len(images)} images and {label_file.name} {len(targets)} classes "
            "where there must be as many of each, and one at least. Download or generate both "
            "again."
        )
    if targets.max() >= len(CLASS_NAMES):
        place = int(np.argmax(targets >= len(CLASS_NAMES)))
        raise DatasetError(
            f"{label_file}: class {targets[place]} of image {place} does not exist; "
            f"Fashion-MNIST's are 0..{len(CLASS_NAMES) - 1}. {_ANEW}"
        )
    keys = [f"{split}/{index}" for index in range(len(images))]
    return ClassDataset(torch.from_numpy(images)[:, None], targets, CLASS_NAMES, keys)


def read_idx(path: str | Path, dimensions: int) -> np.ndarray:
    """Read a file of bytes in the idx format (LeCun's MNIST page), which may be packed (``.gz``).

    Its header is 0, 0, 8 (bytes), the number of dimensions, and each one's length in 4 bytes, the
    highest first.

    Raises:
        DatasetError: The file cannot be unpacked, is of another kind, or its length is wrong.
    """
    path = Path(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(_LARGEST + 1)  # a gzip file may unpack into a thousand times its size
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read ({error}). {_ANEW}") from error
    if len(data) > _LARGEST:
        raise DatasetError(
            f"{path}: holds more than {_LARGEST} bytes, and Fashion-MNIST's files hold 47 million "
            f"at most. {_ANEW}"
        )
    header = 4 * (1 + dimensions)
    if data[:4] != bytes((0, 0, 8, dimensions)) or len(data) < header:
        raise DatasetError(
            f"{path}: no idx file of bytes in {dimensions} dimensions (it starts with "
            f"0x{data[:4].hex()}). {_ANEW}"
        )
    shape = tuple(np.frombuffer(data, dtype=">u4", count=dimensions, offset=4).tolist())
    promised = header + math.prod(shape)
    if len(data) != promised:
        raise DatasetError(
            f"{path}: truncated or damaged: {len(data)} bytes where its header promises "
            f"{promised}. {_ANEW}"
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape).copy()  # writable
