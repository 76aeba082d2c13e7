"""Images in one folder per class, in one part or in train and test."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from cliqa.datasets.classes.class_dataset import ClassDataset, ImageFiles
from cliqa.datasets.classes.class_root import class_root
from cliqa.datasets.image_listing import (
    is_image,
    list_folders,
    list_images,
    log_others,
    to_nfc,
)
from cliqa.datasets.splits import seeded_splits
from cliqa.transforms.image_file import IMAGE_SUFFIXES
from cliqa.utils.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

_TEST_PARTS = ("test", "val", "valid")

Images = Mapping[str, list[str]]
"""By class: the images' paths relative to the root, with ``/``, sorted."""


def read_image_folder(
    root: str | Path, test_fraction: float = 0.2, seed: int = 0
) -> tuple[ClassDataset, ClassDataset]:
    """Read ``root/<class>/...``, or ``root/train/<class>/...`` and ``root/test/<class>/...``.

    Where there is no ``test``, ``val`` or ``valid`` is the test part. Images in sub-folders of a
    class are the class's too; hidden files, and what systems leave behind, are left out. The
    classes are numbered in the order of their sorted names.

    Args:
        root: The folder; ``~`` is resolved.
        test_fraction: The share of each class's images that become test images, where the folder
            has no test part; of each class one image at least is for training and one for testing.
        seed: Another seed splits otherwise. An image's split follows from the seed and the names
            alone.

    Returns:
        The training and the test images, with their paths relative to `root` as keys.

    Raises:
        ConfigError: `test_fraction` is not between 0 and 1.
        DatasetError: There is no such folder, it has fewer than two classes, a class has too few
            images, or train and test have different classes.
    """
    if not isinstance(test_fraction, (int, float)) or not 0.0 < test_fraction < 1.0:
        raise ConfigError(
            "test_fraction must be a number between 0 and 1 (both excluded), got "
            f"{test_fraction!r}. For example 0.2."
        )
    root = class_root(root)
    part = _test_part(root)
    if part is None:
        train, test = _split(_list_classes(root, root), test_fraction, seed, root)
    else:
        train, test = _list_classes(root / "train", root), _list_classes(root / part, root)
        _check_same_classes(train, test, root, part)
    return _data_set(root, train), _data_set(root, test)


def _test_part(root: Path) -> str | None:
    """Return the test part's folder, or None if the root's folders are the classes."""
    train = root / "train"
    there = [name for name in _TEST_PARTS if (root / name).is_dir()]
    if not train.is_dir():
        return None
    if there:
        if there[1:]:
            logger.info("%s: %s is the test part; %s is not read.", root, there[0], there[1])
        return there[0]
    if list_folders(train) and not any(map(is_image, os.listdir(train))):  # no class of trains
        raise DatasetError(
            f"{root}: a folder train/ of classes, but none of test/, val/ and valid/. Add one, or "
            f"set scenario.dataset_root={train} to have a part of its images split off."
        )
    return None


def _list_classes(part: Path, root: Path) -> Images:
    """Return the images of each class below a folder."""
    names = list_folders(part)
    if len(names) < 2:
        found = f"only {names[0]}/" if names else "none"
        raise DatasetError(
            f"{part}: two folders of classes are needed at least, there is {found}. Put each "
            "class's images into a folder of the class's name."
        )
    others: list[str] = []
    classes: dict[str, list[str]] = {}
    for name in names:  # train/ and test/ may come from systems that spell accents in two ways
        if classes.setdefault(to_nfc(name), []):
            raise DatasetError(
                f"{part}: two folders are called {name}, with the accents in two forms of Unicode. "
                "Rename one, or join them."
            )
        paths = map(Path, list_images(part / name, others))
        classes[to_nfc(name)] = sorted(path.relative_to(root).as_posix() for path in paths)
    log_others(part, others)
    for name, images in classes.items():
        if not images:
            raise DatasetError(
                f"{part / name}: a class without images. Files that end with "
                f"{', '.join(IMAGE_SUFFIXES)} count. Add some, or delete the folder."
            )
    return classes


def _split(classes: Images, fraction: float, seed: int, root: Path) -> tuple[Images, Images]:
    """Return the training and the test images of each class."""
    train: dict[str, list[str]] = {}
    test: dict[str, list[str]] = {}
    for name, images in classes.items():
        if len(images) < 2:
            raise DatasetError(
                f"{root / name}: a class with one image cannot be split into training and test "
                f"images. Add images, or sort them into {root / 'train'} and {root / 'test'}."
            )
        splits = seeded_splits(images, (1.0 - fraction, 0.0, fraction), seed, str(root / name))
        train[name] = [image for image, own in zip(images, splits, strict=True) if own == "train"]
        test[name] = [image for image, own in zip(images, splits, strict=True) if own == "test"]
    return train, test


def _check_same_classes(train: Images, test: Images, root: Path, part: str) -> None:
    """Refuse parts of different classes: the numbers of the classes would differ."""
    lost = [f"{part}/{name}" for name in train if name not in test]
    lost += [f"train/{name}" for name in test if name not in train]
    if lost:
        raise DatasetError(
            f"{root}: train/ and {part}/ have different classes; missing: {', '.join(lost)}. Add "
            "these folders, or delete their counterparts."
        )


def _data_set(root: Path, classes: Images) -> ClassDataset:
    """Return the images of all classes, class by class."""
    names = sorted(classes)
    keys = [image for name in names for image in classes[name]]
    targets = [target for target, name in enumerate(names) for _ in classes[name]]
    return ClassDataset(ImageFiles([root / key for key in keys]), targets, names, keys)
