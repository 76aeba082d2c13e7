"""Where CIFAR's files lie, and which is missing; nothing slow is imported."""

from __future__ import annotations

from pathlib import Path

from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path

CIFAR10, CIFAR100 = "CIFAR-10", "CIFAR-100"

FOLDERS = {CIFAR10: "cifar-10-batches-py", CIFAR100: "cifar-100-python"}
"""The folder of each data set, as torchvision and the official archives have it."""

ARCHIVES = {CIFAR10: "cifar-10-python.tar.gz", CIFAR100: "cifar-100-python.tar.gz"}

FILES = {
    CIFAR10: (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"),
    CIFAR100: ("train", "test", "meta"),
}
"""The official files of each data set, in the order in which they are looked for."""


def cifar_root(name: str, root: str | Path) -> Path:
    """Return the folder that holds a data set's own folder.

    Args:
        name: One of `FOLDERS`.
        root: That folder, or the data set's own; ``~`` is resolved.
    """
    root = home_path(root)
    return root.parent if root.name == FOLDERS[name] and root.is_dir() else root


def check_files(name: str, root: str | Path) -> None:
    """Refuse a folder that lacks a file; what the files hold is checked when they are read.

    The arguments are those of `cifar_root`.

    Raises:
        DatasetError: With the first file that is missing.
    """
    root = cifar_root(name, root)
    for file in FILES[name]:
        path = root / FOLDERS[name] / file
        if not path.is_file():
            raise incomplete(name, path, "is missing")


def incomplete(name: str, path: Path, state: str) -> DatasetError:
    """Return the error of a file below a root that is missing or damaged."""
    return DatasetError(
        f"{path} {state}: {name} is not complete. Set scenario.download=True on a machine with a "
        f"network, or {otherwise(name, path.parent.parent)}"
    )


def otherwise(name: str, root: Path) -> str:
    """Return what to do without a network."""
    return f"unpack the official {ARCHIVES[name]} in {root}."
