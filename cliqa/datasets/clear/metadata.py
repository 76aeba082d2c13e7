"""CLEAR's metadata: for each bucket and class, a JSON file with a record of every image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cliqa.datasets.clear.filelists import Listing
from cliqa.datasets.clear.files import COPY_AGAIN, read_object, some
from cliqa.datasets.clear.layout import INDEX, sort_buckets
from cliqa.utils.errors import DatasetError


class Record(dict[str, Any]):
    """What is known about an image; keys are found whatever their case.

    Args:
        values: The record of the metadata file.
        image_id: The image's id, under which the record stands.
        path: The image's path relative to the folder of the metadata.
        bucket: The bucket that the record was read from.
        part: ``"train"``, ``"test"``, or ``""`` in the old layout.

    >>> Record({"DATE_TAKEN": "2004-05-01"}, "7", "labeled_images/1/dress/7.jpg")["date_taken"]
    '2004-05-01'
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        image_id: str,
        path: str,
        bucket: str = "",
        part: str = "",
    ) -> None:
        super().__init__(values)
        self.image_id = image_id
        self.path = path
        self.bucket = bucket
        self.part = part
        self.empty_keys: set[str] = set()
        """Keys that were looked up and hold null."""

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401
        name = self._name(key)
        if name is None:
            raise DatasetError(
                f"{self.path}: no '{key}' in its metadata. It has {', '.join(self)}."
            )
        value = super().__getitem__(name)
        if value is None:
            self.empty_keys.add(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._name(key) is not None

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401
        """Return a key's value, or `default` where there is no such key."""
        name = self._name(key)
        return default if name is None else super().__getitem__(name)

    def _name(self, key: str) -> str | None:
        """Return a key as the record spells it."""
        if super().__contains__(key):
            return key
        return next((name for name in self if name.lower() == key.lower()), None)


Buckets = dict[str, dict[str, str]]
"""Metadata files by bucket and class, relative to the folder; buckets in the order of time."""


def read_index(folder: Path) -> Buckets:
    """Read ``labeled_metadata.json``.

    Args:
        folder: The data set's folder, or its part ``train`` or ``test``.

    Raises:
        DatasetError: The file is missing or has another form.
    """
    path = folder / INDEX
    index = read_object(path)
    for bucket, files in index.items():
        if not isinstance(files, dict) or not all(isinstance(f, str) for f in files.values()):
            raise DatasetError(
                f"{path}: bucket '{bucket}' must map class names to files. {COPY_AGAIN}"
            )
    return {bucket: index[bucket] for bucket in sort_buckets(index, path)}


def read_bucket(
    folder: Path,
    bucket: str,
    files: Mapping[str, str],
    class_names: Sequence[str],
    part: str = "",
) -> dict[str, list[Record]]:
    """Read the records of a bucket: class by class, in the order of the metadata files.

    Args:
        folder: The data set's folder, or its part ``train`` or ``test``.
        bucket: The bucket's name.
        files: The metadata file of each class.
        class_names: The K classes.
        part: ``"train"`` or ``"test"`` in the new layout.

    Returns:
        By class, in the order of `class_names`; a class of which the index has no file is empty.

    Raises:
        DatasetError: The index names an unknown class, a file is missing or damaged, or an image is
            in two classes.
    """
    unknown = [name for name in files if name not in class_names]
    if unknown:
        raise DatasetError(
            f"{folder / INDEX}: bucket {bucket} has the classes {some(unknown)}, which "
            "class_names.txt does not name. Add each as a line at its end."
        )
    found: dict[str, list[Record]] = {}
    classes: dict[str, str] = {}
    for name in class_names:
        found[name] = _read_class(folder, files[name], bucket, part) if name in files else []
        for record in found[name]:
            other = classes.setdefault(record.image_id, name)
            if other != name:
                raise DatasetError(
                    f"{folder / files[name]}: image {record.image_id} is in class '{other}' of "
                    f"bucket {bucket} too. Remove one of the two."
                )
    if not any(found.values()):
        raise DatasetError(
            f"{folder / INDEX}: bucket {bucket} has no image; a bucket cannot be empty."
        )
    return found


def _read_class(folder: Path, file: str, bucket: str, part: str) -> list[Record]:
    """Read one metadata file.

    Raises:
        DatasetError: The file is missing, or a record has no image path.
    """
    path = folder / file
    records = []
    for image_id, values in read_object(path).items():
        image = values.get("IMG_PATH") if isinstance(values, dict) else None
        if not isinstance(image, str) or not image.strip():
            raise DatasetError(f"{path}: image {image_id} has no IMG_PATH. {COPY_AGAIN}")
        records.append(Record(values, image_id, image, bucket, part))
    return records


def as_listing(
    records: Mapping[str, Sequence[Record]], files: Mapping[str, str], part: str = ""
) -> Listing:
    """Return a bucket's images as a list: class by class.

    Args:
        records: By class, in the order of the classes' indices.
        files: The metadata file of each class, for messages.
        part: The part of the new layout, which comes before every path.

    Raises:
        DatasetError: Two records have the same image.
    """
    before = f"{part}/" if part else ""
    images: dict[str, int] = {}
    places: list[str] = []
    for target, (name, own) in enumerate(records.items()):
        for record in own:
            place = f"{before}{files[name]}, image {record.image_id}"
            if before + record.path in images:
                raise DatasetError(
                    f"{place}: {record.path} is the image of another record too. {COPY_AGAIN}"
                )
            images[before + record.path] = target
            places.append(place)
    return Listing(tuple(images), tuple(images.values()), tuple(places))
