"""A data set of images with one quality score each."""

from __future__ import annotations

import copy
import functools
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from cliqa.config.annotations import ThreeNumbers, TwoNumbers
from cliqa.datasets.image_files import (
    describe_missing,
    join_paths,
    match_images,
    unreadable,
    without_unreadable,
)
from cliqa.datasets.image_listing import to_nfc
from cliqa.datasets.labels.scale import from_unit, to_unit
from cliqa.datasets.labels.score_warnings import find_warnings
from cliqa.datasets.labels.table import SPLITS, ScoreTable, check_range, check_table
from cliqa.datasets.splits import check_fractions, seeded_splits
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

_NUMBERED = frozenset({"ava"})
"""Identities whose images are known by number: 953619 is one image in every format."""

Policy = Literal["error", "skip"]
Split = Literal["train", "val", "test", "all"]
Transform = Callable[[torch.Tensor], torch.Tensor]
Self = TypeVar("Self", bound="QualityDataset")


class QualityDataset(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """Images with quality scores, all checked before the first one is used.

    Item i is ``(image, score)``: uint8 (3, H, W), or what the transform makes of it, and a float32
    scalar (), 0..1, higher = better.

    Args:
        name: A short name for logs and file names.
        table: The labels.
        image_folder: Base of the table's image paths.
        score_range: The declared (low, high) of the raw scores.
        higher_is_better: The direction of the raw scores.
        identity: The name space of the images: data sets that share it and a file name share the
            image. By default the data set's own name.
        fractions: Shares of train, val and test, used where the table has no split.
        seed: Of the split, used where the table has none.
        fold: (k, K) for the k-th of K folds as test, used where the table has no split.
        on_bad_image: ``"error"`` raises when an image that cannot be decoded is read; ``"skip"``
            decodes every image at once, leaves such images out, and logs how many.
        missing: Images without a file: ``"error"``, or ``"skip"``, which leaves
            them out and logs how many.

    Attributes:
        raw_scores: float64 (N,), in the units of the label file.
        scores: float32 (N,), 0..1, higher = better.
        std: float64 (N,) in the units of `raw_scores`, or None.
        groups: (N,) the reference or prompt of each image, or None.
        splits: (N,) the split of each image.
        keys: (N,) what identifies each image across data sets.
        files: (N,) image paths as strings.
        split_name: ``"all"``, or the split that this view shows.
        absent: Labelled images that were left out because they have no file.
        drawn: The splits are drawn by `seed`, not given by the label file.
        score_warnings: Warnings about suspicious scores; they are logged too.

    Raises:
        ConfigError: An option is wrong.
        DatasetError: The label file, or an image, is wrong or missing.
    """

    absent: tuple[str, ...] = ()
    drawn: bool = False

    def __init__(
        self,
        name: str,
        table: ScoreTable,
        image_folder: str | Path,
        score_range: TwoNumbers,
        higher_is_better: bool,
        identity: str | None = None,
        fractions: ThreeNumbers = (0.8, 0.1, 0.1),
        seed: int = 0,
        fold: Sequence[int] | None = None,
        on_bad_image: Policy = "error",
        missing: Policy = "error",
    ) -> None:
        _check_options(name, on_bad_image=on_bad_image, missing=missing)
        self.name = name
        self.score_range = check_range(score_range, name)
        self.higher_is_better = bool(higher_is_better)
        self.split_name: str = "all"
        self.transform: Transform | None = None
        check_fractions(fractions, name)
        table = check_table(table, self.score_range)
        self.drawn = table.splits is None
        if self.drawn:  # before images are left out: the split must not depend on them
            units = table.groups if table.groups is not None else table.images
            splits = seeded_splits(units, fractions, seed, f"{name}: {table.source}", fold)
            table = replace(table, splits=splits)
        keys = _keys(table.images, identity or name)
        self._fill(table, keys, [])
        self._find_images(Path(image_folder), missing)
        if on_bad_image == "skip":
            bad = self.verify_images()
            if bad:
                self._keep(without_unreadable(bad, len(self), self.name))
        emptied = sorted(set(table.splits or ()) - set(self.splits))
        if emptied:
            raise DatasetError(
                f"{name}: no image of the split '{emptied[0]}' of {table.source} is left: all are "
                "missing or cannot be decoded. Add them."
            )
        found = find_warnings(self.table, self.score_range, self.higher_is_better, self.drawn)
        self.score_warnings = tuple(f"{name}: {text}" for text in found)
        for text in self.score_warnings:
            logger.warning("%s", text)

    def _fill(self, table: ScoreTable, keys: list[str], files: list[str]) -> None:
        """Set the columns of the images that this data set or view shows."""
        self.table = table
        self.raw_scores = table.raw
        self.scores = to_unit(table.raw, self.score_range, self.higher_is_better)
        self.std = table.std
        self.groups = table.groups
        self.splits: tuple[str, ...] = table.splits or ()
        self.keys = keys
        self.files = files
        self.__dict__.pop("paths", None)

    def _find_images(self, folder: Path, missing: Policy) -> None:
        """Match the table with the files; raise or leave rows out where there is none."""
        if not folder.is_dir():
            raise DatasetError(f"{self.name}: no image folder {folder} (from {Path.cwd()}).")
        matched = match_images(folder, self.table.images)
        absent = [index for index, image in enumerate(matched) if image is None]
        if absent:
            text = f"{self.name}: {describe_missing(self.table, folder, absent)}"
            if missing == "error" or len(absent) == len(self.table):
                raise DatasetError(
                    f"{text} Add them, correct images='...', or set missing='skip' to leave rows "
                    "without an image out."
                )
            logger.warning("%s They are left out.", text)
        self.files = join_paths(folder, matched)
        if absent:
            self.absent = tuple(self.table.images[i] for i in absent)
            lost = set(absent)
            self._keep([i for i in range(len(self.table)) if i not in lost])

    def _keep(self, indices: Sequence[int]) -> None:
        """Reduce this object to the images at `indices`."""
        self._fill(
            self.table.take(indices),
            [self.keys[i] for i in indices],
            [self.files[i] for i in indices],
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.training_image(index)
        if self.transform is not None:
            image = self.transform(image)
        return image, torch.tensor(self.scores[index])

    def training_image(self, index: int, shorter_edge: int | None = None) -> torch.Tensor:
        """Return `image`, with advice where it cannot be decoded."""
        try:
            return self.image(index, shorter_edge)
        except DatasetError as error:
            advice = "Or set on_bad_image='skip' to leave such images out."
            raise DatasetError(f"{error} {advice}") from error

    def __repr__(self) -> str:
        low, high = self.score_range
        better = "higher" if self.higher_is_better else "lower"
        return (
            f"{type(self).__name__}(name='{self.name}', split='{self.split_name}', "
            f"{len(self)} images, scores in {low:g}..{high:g}, {better} is better)"
        )

    @property
    def split_advice(self) -> str:
        """Advice on how to add a split that the data set lacks."""
        return "set fractions=(0.8, 0.1, 0.1)"

    @functools.cached_property
    def paths(self) -> list[Path]:
        """The image files."""
        return [Path(file) for file in self.files]

    def image(self, index: int, shorter_edge: int | None = None) -> torch.Tensor:
        """Return image `index` as stored, uint8 (3, H, W), or smaller: see `read_image`.

        Raises:
            DatasetError: It cannot be decoded; the message names the file and the label's row.
        """
        try:
            return read_image(self.files[index], shorter_edge=shorter_edge)
        except DatasetError as error:
            raise DatasetError(f"{self.name}: {self.table.where(index)}: {error}") from error

    def verify_images(self) -> dict[int, str]:
        """Decode every image and return the reasons of those that fail, by index.

        This takes as long as reading the whole data set once.
        """
        return unreadable(self.image, len(self), self.name)

    def select(self: Self, indices: Iterable[int]) -> Self:
        """Return a view of the images at `indices`, in their order; files are shared.

        Raises:
            IndexError: An index is beyond the end.
        """
        chosen = [int(index) for index in indices]
        view = copy.copy(self)
        view._keep(chosen)
        return view

    def subset(self: Self, split: Split) -> Self:
        """Return a view of one split (``"all"``: of everything).

        A split is empty only where the data set was declared without it: by a share of 0, or by
        label files that do not mention it.

        Raises:
            ConfigError: There is no such split.
        """
        if split not in (*SPLITS, "all"):
            raise ConfigError(
                f"{self.name}: unknown split '{split}'. Use 'train', 'val', 'test' or 'all'."
            )
        if split == "all":
            return copy.copy(self)
        view = self.select(i for i, own in enumerate(self.splits) if own == split)
        view.split_name = split
        return view

    def with_transform(self: Self, transform: Transform | None) -> Self:
        """Return a view whose images go through `transform`: uint8 (3, H, W) -> tensor."""
        view = copy.copy(self)
        view.transform = transform
        return view

    def split_table(self) -> list[tuple[str, str]]:
        """Return (image, split) for every image, as a record of the split that was used."""
        return list(zip(self.table.images, self.splits, strict=True))

    def to_raw(self, scores: np.ndarray | Sequence[float] | float) -> np.ndarray:
        """Return scores in 0..1 (any shape) as float64 in the label file's units and direction."""
        return from_unit(np.asarray(scores), self.score_range, self.higher_is_better)


def _check_options(name: str, **policies: str) -> None:
    """Raise a ConfigError for a name that cannot be part of a file name, or an unknown policy."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", name):
        raise ConfigError(
            f"data set name {name!r}: use letters, digits, '_', '-', '.' (it names files)."
        )
    for option, policy in policies.items():
        if policy not in ("error", "skip"):
            raise ConfigError(f"{name}: {option} must be 'error' or 'skip', got {policy!r}.")


def _keys(images: Sequence[str], identity: str) -> list[str]:
    """Return ``identity/file name`` of each image; the whole path where file names repeat."""
    names = [to_nfc(image).rpartition("/")[2] for image in images]
    if identity in _NUMBERED:
        names = [name.rpartition(".")[0] or name for name in names]
    if len(set(names)) < len(names):
        names = list(map(to_nfc, images))
    return [f"{identity}/{name}" for name in names]
