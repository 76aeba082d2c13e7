"""CIFAR-10 and CIFAR-100, 32 x 32 colour images (Krizhevsky, 2009)."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity

from cliqa.datasets.classes import cifar_files
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.datasets.classes.download import download as download_into


def read_cifar10(root: str | Path, download: bool = False) -> tuple[ClassDataset, ClassDataset]:
    """Read CIFAR-10's official Python batches.

    Args:
        root: The folder that holds ``cifar-10-batches-py``, or that folder itself; ``~`` is
            resolved.
        download: Have torchvision download them into `root` if they are not there.

    Returns:
        The training and the test images, uint8 (N, 3, 32, 32), with the keys ``train/0`` to
        ``train/49999`` and ``test/0`` to ``test/9999``.

    Raises:
        DatasetError: A file is missing or is not the official one, or the download failed.
    """
    return _read(CIFAR10, cifar_files.CIFAR10, root, download)


def read_cifar100(root: str | Path, download: bool = False) -> tuple[ClassDataset, ClassDataset]:
    """Read CIFAR-100's official Python files; the classes are the 100 fine ones.

    Args:
        root: The folder that holds ``cifar-100-python``, or that folder itself; ``~`` is resolved.
        download: As `read_cifar10`, like the data sets and the errors.
    """
    return _read(CIFAR100, cifar_files.CIFAR100, root, download)


def _read(
    source: type[CIFAR10], name: str, root: str | Path, download: bool
) -> tuple[ClassDataset, ClassDataset]:
    """Return the training and the test images of one of torchvision's classes."""
    root = cifar_files.cifar_root(name, root)
    wrong = _first_wrong(source, root)
    if wrong is not None and download:
        fetch = functools.partial(_open, source, root, "train", download=True)
        download_into(fetch, name, root, cifar_files.otherwise(name, root))
        wrong = _first_wrong(source, root)
    if wrong is not None:
        state = "is not the official file (its MD5 sum differs)" if wrong.exists() else "is missing"
        raise cifar_files.incomplete(name, wrong, state)
    return _split(source, root, "train"), _split(source, root, "test")


def _first_wrong(source: type[CIFAR10], root: Path) -> Path | None:
    """Return the first file that is missing or not the official one."""
    meta = (source.meta["filename"], source.meta["md5"])
    for file, md5 in (*source.train_list, *source.test_list, meta):
        path = root / source.base_folder / file
        if not check_integrity(str(path), md5):
            return path
    return None


def _split(source: type[CIFAR10], root: Path, split: str) -> ClassDataset:
    """Return one split's images."""
    data = _open(source, root, split)
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()  # (N, 3, 32, 32)
    keys = [f"{split}/{index}" for index in range(len(images))]
    return ClassDataset(images, data.targets, data.classes, keys)


def _open(source: type[CIFAR10], root: Path, split: str, download: bool = False) -> CIFAR10:
    """Return torchvision's data set.

    The files are pickles, which can run code: torchvision opens none whose MD5 sum is not the
    published one.
    """
    with warnings.catch_warnings():  # written by an old numpy, about which numpy 2.4 warns
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        return source(str(root), train=split == "train", download=download)
