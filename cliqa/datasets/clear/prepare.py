"""Write the training folder of the old layout: lists of images, splits, and joined features."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from cliqa.config.suggest import listed
from cliqa.datasets.clear.features import FEATURES, read_class_features, read_features
from cliqa.datasets.clear.filelists import Listing, read_filelist
from cliqa.datasets.clear.files import read_text, written_by
from cliqa.datasets.clear.layout import TRAINING, detect_layout
from cliqa.datasets.clear.metadata import Metadata
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.io import write_text
from cliqa.utils.paths import home_path

logger = logging.getLogger(__name__)


def split_indices(total: int, test_ratio: float, seed: int) -> tuple[list[int], list[int]]:
    """Return the indices of a bucket's training and of its int(N * ratio) test images, shuffled.

    >>> split_indices(10, 0.3, seed=0)
    ([5, 3, 4, 2, 0, 9, 6], [7, 8, 1])
    """
    order = list(range(total))
    random.Random(seed).shuffle(order)
    count = int(total * test_ratio)
    return order[count:], order[:count]


def prepare(
    root: str | Path,
    *,
    test_ratio: float = 0.3,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    overwrite: bool = False,
) -> None:
    """Write ``training_folder`` from the metadata.

    Images are listed class by class in the order of ``class_names.txt``, and within a class in the
    order of the metadata file. Features that are stored class by class (``features/<type>``) are
    joined in that order. Existing files stay as they are; the new layout needs none of these.

    Args:
        root: The data set's folder.
        test_ratio: The test images' share of each bucket, between 0 and 1.
        seeds: One split of each bucket is written for every seed.
        overwrite: Replace lists and features that differ.

    Raises:
        ConfigError: `test_ratio` or `seeds` is out of range.
        DatasetError: The metadata are wrong, or an existing file differs from what would be
            written.
    """
    if not 0 < test_ratio < 1:
        raise ConfigError(f"test_ratio must lie between 0 and 1, e.g. 0.3, got {test_ratio!r}.")
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise ConfigError(f"seeds must be whole numbers >= 0, e.g. (0, 1, 2), got {seeds!r}.")
    root = home_path(root)
    if detect_layout(root) == "new":
        logger.info("%s has train and test parts: there is nothing to prepare.", root)
        return
    count = write_training_folder(root, test_ratio, seeds, overwrite)
    logger.info("%s: %d buckets are prepared.", root, count)


def write_training_folder(
    root: Path,
    test_ratio: float = 0.3,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    overwrite: bool = False,
) -> int:
    """Write ``training_folder`` as `prepare`, of the old layout; return the number of buckets."""
    metadata = Metadata(root)
    listings = {bucket: metadata.listing(bucket) for bucket in metadata.files}
    files = dict(_lists(root / TRAINING, listings, test_ratio, seeds))
    other = [path for path, text in files.items() if path.exists() and _differs(path, text)]
    if other and not overwrite:
        names = [path.relative_to(root).as_posix() for path in other]
        raise DatasetError(
            f"{root}: {len(other)} existing lists differ from what the metadata and the seeds "
            f"give: {listed(names, 5)}. Published results depend on them; add --overwrite to "
            "replace them."
        )
    for path, text in files.items():
        if not path.exists() or path in other:
            write_text(path, text)
    for path in sorted((root / FEATURES).glob("*/features.json")):
        join_features(root, path.parent.name, overwrite=overwrite)
    return len(listings)


def _lists(
    folder: Path, listings: dict[str, Listing], test_ratio: float, seeds: Sequence[int]
) -> Iterator[tuple[Path, str]]:
    """Yield the files of the training folder with their texts."""
    yield folder / "bucket_indices.json", json.dumps(list(listings))
    for bucket, listing in listings.items():
        yield folder / "filelists" / bucket / "all.txt", listing.lines()
        for seed in seeds:
            place = folder / f"testset_ratio_{test_ratio}" / f"split_{seed}" / bucket
            train, test = split_indices(len(listing), test_ratio, seed)
            for part, indices in (("train", train), ("test", test)):
                yield place / f"{part}.txt", listing.select(indices).lines()
                yield place / f"{part}_indices.json", json.dumps(indices)


def _differs(path: Path, text: str) -> bool:
    """Return whether a file's lines, or its JSON, differ from those of a text."""
    found = read_text(path)
    if path.suffix != ".json":
        return found.split() != text.split()
    try:
        return list(map(str, json.loads(found))) != list(map(str, json.loads(text)))
    except (TypeError, ValueError):  # no list, or no JSON
        return True


def join_features(root: str | Path, name: str, *, overwrite: bool = False) -> None:
    """Write each bucket's features as one file, in the order of its list of images.

    They are stored class by class in ``features/<name>`` of a prepared data set in the old layout.

    Raises:
        DatasetError: The features are missing or damaged, an image of a list has none, or existing
            joined features differ and are not to be overwritten.
    """
    root = home_path(root)
    metadata = Metadata(root)
    for bucket in metadata.files:
        matrix = read_class_features(metadata, name, bucket)
        paths = [r.path for records in metadata.records(bucket).values() for r in records]
        rows = {path: row for row, path in enumerate(paths)}
        all_images = f"{TRAINING}/filelists/{bucket}/all.txt"
        classes = len(metadata.class_names)
        listing = read_filelist(root, all_images, classes, written_by("prepare", root))
        lost = [image for image in listing.images if image not in rows]
        if lost:
            raise DatasetError(
                f"{root / all_images}: the features '{name}' lack {listed(lost, 5)}. "
                f"{written_by('features', root, f'--name {name} --overwrite')}"
            )
        features = matrix[[rows[image] for image in listing.images]]
        path = root / TRAINING / FEATURES / name / bucket / "all.pth"
        if path.exists() and not overwrite:
            there = read_features(root, name, bucket, listing.targets, all_images)
            if not torch.equal(there, features):
                raise DatasetError(
                    f"{path}: differs from the features in {FEATURES}/{name}. Add --overwrite to "
                    "replace it."
                )
            continue
        save_checkpoint(path, (features, list(listing.targets)))
