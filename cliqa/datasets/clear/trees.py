"""CLEAR's two layouts with one interface: a bucket's images, its features, and its split."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from cliqa.config.suggest import listed
from cliqa.datasets.clear.features import read_class_features, read_features
from cliqa.datasets.clear.filelists import Listing, find_places, read_filelist, read_indices
from cliqa.datasets.clear.files import COPY_AGAIN, read_json, written_by
from cliqa.datasets.clear.layout import (
    CLASS_NAMES,
    INDEX,
    PARTS,
    TRAINING,
    Layout,
    detect_layout,
    read_class_names,
    sort_buckets,
)
from cliqa.datasets.clear.metadata import Metadata
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import home_path

SPLITS = "testset_ratio_0.3"
"""The folder of the published splits, 30 % of a bucket for the test."""


class OldTree:
    """The layout of 2021: one set of images, and splits of it in ``training_folder``.

    Args:
        root: The data set's folder.

    Attributes:
        class_names: The K classes.
        buckets: The buckets, in time order.
        notes: Notes on the data for readers of the results.
        whole: A function that returns all images of a bucket.

    Raises:
        DatasetError: The classes or the buckets are missing or wrong.
    """

    layout: Layout = "old"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notes: list[str] = []
        self.class_names = read_class_names(root)
        self._prepare = written_by("prepare", root)
        path = root / TRAINING / "bucket_indices.json"
        names = read_json(path, self._prepare)
        if not isinstance(names, list):
            raise DatasetError(f"{path}: expected a JSON list of buckets. {COPY_AGAIN}")
        self.buckets = sort_buckets(names, path)
        self.whole = cache(self._read_whole)

    def _read_whole(self, bucket: str) -> Listing:
        return read_filelist(self.root, self._all(bucket), len(self.class_names), self._prepare)

    def _all(self, bucket: str) -> str:
        return f"{TRAINING}/filelists/{bucket}/all.txt"

    def split(
        self, bucket: str, seed: int | None, by_index: bool = False
    ) -> tuple[list[int], list[int]]:
        """Return the indices of the training and of the test images in the whole.

        `seed` selects one of the published splits, whose lists of images or, `by_index`, of indices
        are read.

        Raises:
            DatasetError: A list is missing or wrong, or the two overlap.
        """
        folder = f"{TRAINING}/{SPLITS}/split_{seed}/{bucket}"
        read = self._indices if by_index else self._images
        train, test = (read(bucket, f"{folder}/{part}") for part in PARTS)
        common = sorted(set(train) & set(test))
        if common:
            image = self.whole(bucket).images[common[0]]
            raise DatasetError(
                f"{self.root / folder}: {len(common)} images are in train and in test, e.g. "
                f"{image}. {written_by('prepare', self.root, '--overwrite')}"
            )
        return train, test

    def _images(self, bucket: str, name: str) -> list[int]:
        part = read_filelist(self.root, f"{name}.txt", len(self.class_names), self._prepare)
        return find_places(self.root, self.whole(bucket), part, self._all(bucket))

    def _indices(self, bucket: str, name: str) -> list[int]:
        path = self.root / f"{name}_indices.json"
        indices = read_indices(path, len(self.whole(bucket)), self._all(bucket), self._prepare)
        if (self.root / f"{name}.txt").is_file():
            images = self._images(bucket, name)
            if set(images) != set(indices):
                raise DatasetError(
                    f"{path}: not the images of {name}.txt: features and images would be split "
                    f"in two ways. {COPY_AGAIN}"
                )
        return indices

    def features(self, bucket: str, name: str) -> Tensor:
        """Return a bucket's features, float32 (N, D), in the order of ``all.txt``.

        Raises:
            DatasetError: They are missing or damaged, or do not fit the list.
        """
        targets = self.whole(bucket).targets
        return read_features(self.root, name, bucket, targets, self._all(bucket))


class NewTree:
    """The layout of today: ``train`` and ``test``, each with its own metadata and images.

    Args:
        root: The data set's folder.

    Attributes:
        metadata: The metadata of each part; the other attributes are those of `OldTree`.

    Raises:
        DatasetError: A part is missing, or the parts differ in their classes or buckets.
    """

    layout: Layout = "new"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.notes: list[str] = []
        for part in PARTS:
            if not (root / part / INDEX).is_file():
                raise DatasetError(
                    f"{root / part / INDEX}: missing. Unpack both archives of the data set, train "
                    f"and test, into {root}."
                )
        self.metadata = {part: Metadata(root, part) for part in PARTS}
        self.class_names, other = (self.metadata[part].class_names for part in PARTS)
        if self.class_names != other:
            raise DatasetError(
                f"{root / 'train' / CLASS_NAMES} and {root / 'test' / CLASS_NAMES} differ. Both "
                "must name the same classes in the same order."
            )
        self.buckets = self._common_buckets()
        self.whole = cache(self._read_whole)

    def _common_buckets(self) -> tuple[str, ...]:
        """Return the buckets of both parts; bucket 0, for pretraining, may lack one."""
        train, test = (self.metadata[part].files for part in PARTS)
        for part, own, other in (("train", train, test), ("test", test, train)):
            alone = [bucket for bucket in own if bucket not in other]
            lost = [bucket for bucket in alone if bucket != "0"]
            if lost:
                raise DatasetError(
                    f"{self.root / part / INDEX}: bucket {listed(lost, 5)} is only in {part}. "
                    f"{COPY_AGAIN}"
                )
            if alone:
                self.notes.append(f"bucket 0 is only in {part} and was left out")
        common = [bucket for bucket in train if bucket in test]
        return sort_buckets(common, self.root / "train" / INDEX)

    def _read_whole(self, bucket: str) -> Listing:
        """Return the images of test, then those of train, as Avalanche joins the two."""
        records = [self.metadata[part].records(bucket).values() for part in PARTS]
        train, test = ({one.image_id for own in part for one in own} for part in records)
        if train & test:
            raise DatasetError(
                f"{self.root}: {len(train & test)} images of bucket {bucket} are in train and in "
                f"test, e.g. {min(train & test)}. Remove them from one."
            )
        return self.metadata["test"].listing(bucket) + self.metadata["train"].listing(bucket)

    def split(
        self, bucket: str, seed: int | None, by_index: bool = False
    ) -> tuple[list[int], list[int]]:
        """Return the indices of the training and of the test images; there is one split."""
        total, tests = len(self.whole(bucket)), len(self.metadata["test"].listing(bucket))
        return list(range(tests, total)), list(range(tests))

    def features(self, bucket: str, name: str) -> Tensor:
        """Return a bucket's features, float32 (N, D): the test part's, then the training part's.

        Raises:
            DatasetError: They are missing or damaged, or do not fit the metadata.
        """
        test, train = (
            read_class_features(self.metadata[part], name, bucket) for part in ("test", "train")
        )
        if test.shape[1] != train.shape[1]:
            raise DatasetError(
                f"{self.root}: the features '{name}' of bucket {bucket} have {train.shape[1]} "
                f"numbers in train and {test.shape[1]} in test. "
                f"{written_by('features', self.root, f'--name {name} --overwrite')}"
            )
        return torch.cat([test, train])


Tree = OldTree | NewTree


def open_tree(root: str | Path) -> Tree:
    """Open a data set in the layout that its folder has.

    Raises:
        ConfigError: It is not a path.
        DatasetError: There is no such folder, or it is neither layout.
    """
    if not isinstance(root, (str, Path)):
        raise ConfigError(
            f"scenario.dataset_root must be the path of CLEAR's folder, got {root!r}."
        )
    path = home_path(root)
    return OldTree(path) if detect_layout(path) == "old" else NewTree(path)
