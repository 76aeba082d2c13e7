"""CLEAR's two layouts: detecting one, and reading the names of classes and buckets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from cliqa.config.suggest import listed
from cliqa.datasets.clear.files import COPY_AGAIN, read_text
from cliqa.utils.errors import ConfigError, DatasetError

Layout = Literal["old", "new"]

DATA_NAMES = ("clear10", "clear100", "clear10_neurips2021", "clear100_cvpr2022")
"""Names of the published data sets. The layout does not follow from the name."""

CLASS_NAMES = "class_names.txt"
INDEX = "labeled_metadata.json"
"""The file that lists the metadata files."""
TRAINING = "training_folder"
PARTS = ("train", "test")
"""The two halves of the new layout."""

_EXPECTED = (
    f"Expected {INDEX} and {TRAINING}/ in it (the layout of 2021), or train/{INDEX} and "
    f"test/{INDEX} (the layout of today)."
)


def detect_layout(root: str | Path) -> Layout:
    """Return a folder's layout: ``"new"`` if ``train`` and ``test`` hold metadata, else ``"old"``.

    Raises:
        DatasetError: There is no such folder, it has neither layout, or both.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(
            f"{root}: no such folder (from {Path.cwd()}). Set scenario.dataset_root to CLEAR's."
        )
    new = [part for part in PARTS if (root / part / INDEX).is_file()]
    old = [
        name
        for name in (INDEX, f"{TRAINING}/bucket_indices.json", f"{TRAINING}/filelists")
        if (root / name).exists()
    ]
    if new and old:
        raise DatasetError(
            f"{root} holds both layouts ({new[0]}/{INDEX} and {old[0]}). Move one of them into a "
            "folder of its own."
        )
    if not new and not old:
        inside = sorted(path.name for path in root.iterdir())
        raise DatasetError(
            f"{root} holds no CLEAR data set, but {listed(inside, 5) or 'nothing'}. {_EXPECTED}"
        )
    return "new" if new else "old"


def read_class_names(folder: Path) -> tuple[str, ...]:
    """Return the classes of a folder's ``class_names.txt``, one per line, in that order.

    Raises:
        DatasetError: The file is missing or empty, or names a class twice.
    """
    path = folder / CLASS_NAMES
    names = [line.strip() for line in read_text(path).splitlines()]
    names = [name for name in names if name]
    if not names:
        raise DatasetError(f"{path}: names no class. Write one name per line.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(
            f"{path}: class '{twice}' is listed twice. Write one line for each class."
        )
    return tuple(names)


def sort_buckets(names: Iterable[object], path: Path) -> tuple[str, ...]:
    """Return buckets in time order, by their numbers; `path` is the file that lists them.

    Raises:
        DatasetError: There is no bucket, a name is not a number, or one is listed twice.

    >>> sort_buckets(["10", "2", 1], Path("bucket_indices.json"))
    ('1', '2', '10')
    """
    texts = [str(name) for name in names]
    wrong = [text for text in texts if not text.isdecimal()]
    if wrong or not texts:
        found = f"bucket '{wrong[0]}' is not a number" if wrong else "lists no bucket"
        raise DatasetError(f"{path}: {found}. Buckets are called 1, 2, 3 ... in time order.")
    if len({int(text) for text in texts}) < len(texts):
        raise DatasetError(f"{path}: a bucket is listed twice: {', '.join(texts)}. {COPY_AGAIN}")
    return tuple(sorted(texts, key=int))


def choose_buckets(existing: Sequence[str], wanted: Sequence[int | str] | None) -> tuple[str, ...]:
    """Return the buckets that a config selects, in time order; None selects all.

    Raises:
        ConfigError: A bucket does not exist or is selected twice, or none is selected.

    >>> choose_buckets(("1", "2", "3"), [3, "1"])
    ('1', '3')
    """
    if wanted is None:
        return tuple(existing)
    if isinstance(wanted, str) or not isinstance(wanted, Sequence):
        raise ConfigError(f"scenario.buckets must be a list, e.g. [1, 2, 3], got {wanted!r}.")
    names = [str(name) for name in wanted]
    unknown = [name for name in names if name not in existing]
    if unknown or not names:
        problem = f"there is no bucket {listed(unknown, 5)}" if unknown else "the list is empty"
        raise ConfigError(f"scenario.buckets: {problem}. There are {', '.join(existing)}.")
    if len(set(names)) < len(names):
        raise ConfigError(
            f"scenario.buckets={list(wanted)}: a bucket is named twice. Name each once."
        )
    return tuple(name for name in existing if name in names)
