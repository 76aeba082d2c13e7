"""Where Fashion-MNIST's files lie, and which are missing; nothing slow is imported."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path

RAW = "FashionMNIST/raw"
"""Where torchvision keeps the files below its root."""

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""The official files of images and of classes, by split."""

_PLACES = (RAW, "raw", ".")


def fashion_folder(root: str | Path) -> Path:
    """Return the folder below `root` that holds all of the files, packed (``.gz``) or not.

    Args:
        root: Holds them, or ``raw``, or ``FashionMNIST/raw``; ``~`` is resolved.

    Raises:
        DatasetError: A file is missing.
    """
    root = home_path(root)
    folder = min((root / place for place in _PLACES), key=lambda place: len(_missing(place)))
    missing = _missing(folder)
    if missing:
        raise DatasetError(
            f"{folder}: Fashion-MNIST needs {', '.join(missing)} (or the same with .gz), which "
            f"{'is' if len(missing) == 1 else 'are'} missing. Set scenario.download=True on a "
            f"machine with a network, or {otherwise(root)}"
        )
    return folder


def file_path(folder: Path, name: str) -> Path:
    """Return a file's path: the packed one's if there is no other."""
    plain, packed = folder / name, folder / f"{name}.gz"
    return packed if packed.is_file() and not plain.is_file() else plain


def otherwise(root: Path) -> str:
    """Return what to do without a network."""
    return f"write generated data with: cliqa data fashion --out {quote(str(root))}"


def _missing(folder: Path) -> list[str]:
    """Return the names of the files that a folder lacks."""
    names = [name for pair in FILES.values() for name in pair]
    return [name for name in names if not file_path(folder, name).is_file()]
