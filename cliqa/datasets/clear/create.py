"""A new CLEAR data set from an existing one: images sorted, filtered, and cut into new buckets."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from cliqa.config.suggest import listed
from cliqa.datasets.clear.files import COPY_AGAIN
from cliqa.datasets.clear.layout import PARTS, detect_layout
from cliqa.datasets.clear.metadata import Metadata, Record
from cliqa.datasets.clear.prepare import write_training_folder
from cliqa.datasets.clear.trees import NewTree
from cliqa.datasets.clear.writing import (
    Copy,
    PlacedImage,
    check_ids,
    check_options,
    copy_image,
    cut,
    write_part,
)
from cliqa.datasets.image_files import match_images
from cliqa.datasets.storage import new_folder, progress
from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path

logger = logging.getLogger(__name__)

Process = Callable[[list[Record]], Sequence[Record]]
"""Sorts or filters the records of one class."""

Classes = dict[str, list[Record]]
"""Records by class."""


def create_dataset(
    root: str | Path,
    out: str | Path,
    process: Process = partial(sorted, key=lambda record: record["date_taken"]),  # noqa: B008
    *,
    buckets: int | None = None,
    copy: Copy = "copy",
) -> None:
    """Write a new data set whose buckets are cut from the images that `process` returns.

    The records of a class are gathered over all buckets, in time order, and passed to `process`.
    The returned records are cut into consecutive buckets whose sizes differ by one at most, the
    larger ones first. An image of the new layout stays in its part, train or test.

    Args:
        root: The data set's folder, in either layout; it is only read.
        out: A new folder, which gets the same layout and is prepared.
        process: Called with the list of a class's records; returns a list of some or all of them.
            A record is a dict with case-insensitive keys: ``x["date_taken"]``.
        buckets: Number of buckets to cut, named 1, 2, 3 ...; None for those of `root`.
        copy: ``"copy"`` or ``"link"`` the images (a copy where links are impossible).

    Raises:
        ConfigError: `buckets` or `copy` is out of range.
        DatasetError: The data set is wrong, `process` needs a key that an image does not have or
            returns other objects than its records, or `out` is not empty.
    """
    check_options(copy, 1 if buckets is None else buckets)
    root, out = home_path(root), home_path(out)
    parts = ("",) if detect_layout(root) == "old" else PARTS
    metadata = {"": Metadata(root)} if parts == ("",) else NewTree(root).metadata
    class_names = metadata[parts[0]].class_names
    classes, names = _gather(root, metadata)
    if buckets is not None:
        names = [str(k + 1) for k in range(buckets)]
    kept = {name: _process(process, name, own) for name, own in classes.items()}
    placed = {part: _place(root, part, kept, names, copy) for part in parts}
    _check(placed, names)
    with new_folder(out) as folder:
        with progress(sum(map(len, kept.values())), str(out)) as bar:
            for part in parts:
                write_part(folder / part, class_names, placed[part], bar)
        if parts == ("",):
            write_training_folder(folder)
    logger.info("Wrote %d images to %s.", sum(map(len, kept.values())), out)


def _gather(root: Path, metadata: Mapping[str, Metadata]) -> tuple[Classes, list[str]]:
    """Return the records of each class in the order of time, and the buckets' names, checked."""
    names = sorted({bucket for own in metadata.values() for bucket in own.files}, key=int)
    classes: Classes = defaultdict(list)
    images: list[str] = []
    for bucket in names:
        for own in metadata.values():
            if bucket in own.files:
                images += own.listing(bucket).images
                for name, records in own.records(bucket).items():
                    classes[name] += records
    matched = zip(images, match_images(root, images), strict=True)
    lost = [image for image, path in matched if path is None]
    if lost:
        raise DatasetError(
            f"{root}: {len(lost)} of {len(images)} images are missing: {listed(lost, 5)}. "
            f"{COPY_AGAIN}"
        )
    return classes, names


def _process(process: Process, name: str, records: list[Record]) -> list[Record]:
    """Return what `process` returns for the records of one class, checked."""
    try:
        kept = list(process(list(records)))
    except TypeError as error:
        empty = next((record for record in records if record.empty_keys), None)
        if empty is None:
            raise
        raise DatasetError(
            f"{empty.path}: '{min(empty.empty_keys)}' is null in its metadata, so it cannot be "
            "sorted by it. Filter such images out, or sort by another key."
        ) from error
    own = {id(record) for record in records}
    foreign = [record for record in kept if id(record) not in own]
    if foreign:
        raise DatasetError(
            f"process returned something else than a record of class '{name}': "
            f"{str(foreign[0])[:80]}. Return the records that it got, sorted or filtered."
        )
    if len({id(record) for record in kept}) < len(kept):
        ids = [record.image_id for record in kept]
        twice = next(image_id for image_id in ids if ids.count(image_id) > 1)
        raise DatasetError(
            f"process returned image {twice} of class '{name}' twice. Return each record once."
        )
    return kept


def _place(
    root: Path, part: str, kept: Mapping[str, list[Record]], names: Sequence[str], copy: Copy
) -> dict[str, dict[str, list[PlacedImage]]]:
    """Return the images of one part by their new bucket and class."""
    placed: dict[str, dict[str, list[PlacedImage]]] = {name: {} for name in names}
    for class_name, records in kept.items():
        for bucket, own in zip(names, cut(records, len(names)), strict=True):
            placed[bucket][class_name] = [
                PlacedImage(
                    record.image_id,
                    PurePosixPath(record.path).suffix,
                    dict(record),
                    partial(copy_image, root / part / record.path, copy),
                )
                for record in own
                if record.part == part
            ]
    return placed


def _check(
    placed: Mapping[str, Mapping[str, Mapping[str, Sequence[PlacedImage]]]], names: Sequence[str]
) -> None:
    """Raise a DatasetError if a bucket has no image, in either part, or one twice."""
    for part, own in placed.items():
        empty = [bucket for bucket in names if not any(own[bucket].values())]
        if empty:
            raise DatasetError(
                f"bucket {listed(empty, 5)} would have no image{f' in {part}' if part else ''}. "
                "Keep more images, or cut fewer buckets."
            )
    for bucket in names:
        joined = {
            f"{part} {name}".strip(): images
            for part, own in placed.items()
            for name, images in own[bucket].items()
        }
        check_ids({bucket: joined})
