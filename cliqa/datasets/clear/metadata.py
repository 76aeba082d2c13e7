"""CLEAR's metadata: for each bucket and class, a JSON file with a record of every image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from cliqa.config.suggest import listed
from cliqa.datasets.clear.filelists import Listing
from cliqa.datasets.clear.files import COPY_AGAIN, read_object
from cliqa.datasets.clear.layout import INDEX, read_class_names, sort_buckets
from cliqa.utils.errors import DatasetError


class Record(dict[str, Any]):
    """The metadata of one image; keys are case-insensitive.

    Args:
        values: The record in the metadata file.
        image_id: The image's id, the record's key in that file.
        path: The image's path relative to the folder of the metadata.
        bucket: The bucket that the record was read from.
        part: ``"train"``, ``"test"``, or ``""`` in the old layout.

    >>> Record({"DATE_TAKEN": "2004-05-01"}, "7", "labeled_images/1/dress/7.jpg")["date_taken"]
    '2004-05-01'
    """

    def __init__(
        self, values: Mapping[str, Any], image_id: str, path: str, bucket: str = "", part: str = ""
    ) -> None:
        super().__init__(values)
        self.image_id = image_id
        self.path = path
        self.bucket = bucket
        self.part = part
        self.empty_keys: set[str] = set()
        """Keys that were looked up and hold null."""

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  a JSON value
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

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401  a JSON value
        """Return a key's value, or `default` where there is no such key."""
        name = self._name(key)
        return default if name is None else super().__getitem__(name)

    def _name(self, key: str) -> str | None:
        """Return a key in the record's own spelling."""
        if super().__contains__(key):
            return key
        return next((name for name in self if name.lower() == key.lower()), None)


class Metadata:
    """The records of a data set in the old layout, or of one part of the new layout.

    Args:
        root: The data set's folder.
        part: ``"train"`` or ``"test"`` in the new layout.

    Attributes:
        folder: The folder of the metadata: `root`, or the part in it.
        class_names: The K classes.
        files: The metadata files by bucket and class, relative to `folder`, in time order.

    Raises:
        DatasetError: ``class_names.txt`` or ``labeled_metadata.json`` is missing or wrong.
    """

    def __init__(self, root: Path, part: str = "") -> None:
        self.folder = root / part
        self.part = part
        self.class_names = read_class_names(self.folder)
        path = self.folder / INDEX
        index = read_object(path)
        for bucket, files in index.items():
            if not isinstance(files, dict) or not all(isinstance(f, str) for f in files.values()):
                raise DatasetError(
                    f"{path}: bucket '{bucket}' must map class names to files. {COPY_AGAIN}"
                )
        self.files: dict[str, dict[str, str]] = {
            bucket: index[bucket] for bucket in sort_buckets(index, path)
        }
        self.records = cache(self._read_records)
        self.listing = cache(self._list_images)

    def _read_records(self, bucket: str) -> dict[str, list[Record]]:
        """Return a bucket's records by class; a class without a file in the index is empty."""
        files = self.files[bucket]
        unknown = [name for name in files if name not in self.class_names]
        if unknown:
            raise DatasetError(
                f"{self.folder / INDEX}: bucket {bucket} has the classes {listed(unknown, 5)}, "
                "which class_names.txt does not name. Add each as a line at its end."
            )
        found: dict[str, list[Record]] = {}
        classes: dict[str, str] = {}
        for name in self.class_names:
            found[name] = self._read_class(files[name], bucket) if name in files else []
            for record in found[name]:
                other = classes.setdefault(record.image_id, name)
                if other != name:
                    raise DatasetError(
                        f"{self.folder / files[name]}: image {record.image_id} is also in class "
                        f"'{other}' of bucket {bucket}. Remove one of the two."
                    )
        if not any(found.values()):
            raise DatasetError(
                f"{self.folder / INDEX}: bucket {bucket} has no image; a bucket cannot be empty."
            )
        return found

    def _read_class(self, file: str, bucket: str) -> list[Record]:
        """Return the records of one metadata file, in its order."""
        path = self.folder / file
        records = []
        for image_id, values in read_object(path).items():
            image = values.get("IMG_PATH") if isinstance(values, dict) else None
            if not isinstance(image, str) or not image.strip():
                raise DatasetError(f"{path}: image {image_id} has no IMG_PATH. {COPY_AGAIN}")
            records.append(Record(values, image_id, image, bucket, self.part))
        return records

    def _list_images(self, bucket: str) -> Listing:
        """Return a bucket's images class by class, each once, with paths relative to the root."""
        before = f"{self.part}/" if self.part else ""
        images: dict[str, int] = {}
        places: list[str] = []
        for target, (name, own) in enumerate(self.records(bucket).items()):
            for record in own:
                place = f"{before}{self.files[bucket][name]}, image {record.image_id}"
                if before + record.path in images:
                    raise DatasetError(
                        f"{place}: {record.path} is the image of another record too. {COPY_AGAIN}"
                    )
                images[before + record.path] = target
                places.append(place)
        return Listing(tuple(images), tuple(images.values()), tuple(places))
