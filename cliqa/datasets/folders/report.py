"""What is in a data set's folder: its images, its scores, its groups and its splits."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cliqa.datasets.base import QualityDataset
from cliqa.datasets.folders.known import Found, config_text
from cliqa.datasets.image_listing import list_images
from cliqa.datasets.labels.table import SPLITS
from cliqa.datasets.own.examine import LOOKED_AT, equal_files, image_size
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.utils.errors import DatasetError
from cliqa.utils.progress import Phase, track

BINS = 10


@dataclass
class Scores:
    """The raw scores of a data set.

    Attributes:
        least: The lowest.
        most: The highest.
        mean: Their mean.
        std: Their standard deviation.
        declared: The (low, high) of their range.
        higher_is_better: Their direction.
        distinct: Different scores.
        tied: Images that share their score with another one.
        histogram: Images in ten equal parts of the declared range.
    """

    least: float
    most: float
    mean: float
    std: float
    declared: tuple[float, float]
    higher_is_better: bool
    distinct: int
    tied: int
    histogram: list[int]


@dataclass
class Report:
    """What a folder holds; `problems` tells whether something is wrong.

    Attributes:
        root: The folder.
        kind: The reader; empty where nothing was recognised.
        others: Other readers that could read it.
        labels: The label file.
        images: The images' folder.
        rated: Rows with an image.
        official: Images of the complete release; None where that is not known.
        missing: Names without a file.
        extra: Image files that no row names.
        looked_at: Images whose files were opened.
        unreadable: Why images cannot be read.
        sizes: Images by ``"width x height"``, the commonest first.
        scores: The scores.
        std: The label file has the raters' deviation.
        groups: How many references or prompts there are; None for none.
        splits: Images by split.
        drawn: The splits are drawn by a seed.
        copies: Groups of files of equal content.
        leaks: How many of these groups are in several splits.
        config: The data set's line of a config.
        notes: What else is to be known.
        mistakes: Why it cannot be read.
    """

    root: str
    kind: str = ""
    others: tuple[str, ...] = ()
    labels: str = ""
    images: str = ""
    rated: int = 0
    official: int | None = None
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    looked_at: int = 0
    unreadable: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    scores: Scores | None = None
    std: bool = False
    groups: int | None = None
    splits: dict[str, int] = field(default_factory=dict)
    drawn: bool = False
    copies: list[list[str]] = field(default_factory=list)
    leaks: int = 0
    config: str = ""
    notes: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    @property
    def problems(self) -> bool:
        """Whether it cannot be read, or images are missing, unreadable or in several splits."""
        return bool(self.mistakes or self.missing or self.unreadable or self.leaks)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for a JSON file."""
        return {**asdict(self), "problems": self.problems}


def describe(found: Found, whole_images: bool = False) -> Report:
    """Return what is in a folder that `find_set` has looked at.

    Args:
        found: The folder.
        whole_images: Decode every image. Otherwise the headers of at most `LOOKED_AT` images are
            read, evenly from all of them, and the ends of JPEGs.
    """
    report = Report(str(found.root), others=found.others, notes=list(found.notes))
    report.kind = str(found.section.get("type", ""))
    report.mistakes = list(found.mistakes)
    data = found.data
    if data is None:
        return report
    report.labels, report.images = str(data.table.source), str(data.image_folder)
    report.rated, report.official = len(data), data.official_count
    report.missing = list(data.absent)
    section = {**found.section, **({"missing": "skip"} if data.absent else {})}
    report.config = config_text(section, found.root)
    report.scores = score_statistics(data)
    report.std = data.std is not None
    report.groups = len(set(data.groups)) if data.groups is not None else None
    report.splits = {split: data.splits.count(split) for split in SPLITS}
    report.drawn = data.drawn
    report.extra = _extra(data)
    report.copies, report.leaks = _copies(data)
    _look_at_images(report, data, whole_images)
    return report


def score_statistics(data: QualityDataset) -> Scores:
    """Return the statistics of a data set's raw scores."""
    raw = data.raw_scores
    counts = np.unique(raw, return_counts=True)[1]
    return Scores(
        least=float(raw.min()),
        most=float(raw.max()),
        mean=float(raw.mean()),
        std=float(raw.std()),
        declared=data.score_range,
        higher_is_better=data.higher_is_better,
        distinct=len(counts),
        tied=int(counts[counts > 1].sum()),
        histogram=np.histogram(raw, BINS, range=data.score_range)[0].tolist(),
    )


def _extra(data: LabelledFolder) -> list[str]:
    """Return the image files below the images' folder that no row names."""
    folder = data.image_folder
    with Phase(f"list {folder.name}", unit="image"):
        there = {os.path.normpath(path) for path in list_images(folder, [])}
    named = {os.path.normpath(file) for file in data.files}
    return sorted(os.path.relpath(path, folder) for path in there - named)


def _copies(data: LabelledFolder) -> tuple[list[list[str]], int]:
    """Return the groups of equal files by their images' names, and how many lie in two splits."""
    with Phase(f"compare the files of {data.name}", unit="image"):
        groups = equal_files(data.files)
    place = {file: index for index, file in enumerate(data.files)}
    split_of = [{data.splits[place[file]] for file in group} for group in groups]
    names = [[data.table.images[place[file]] for file in group] for group in groups]
    return names, sum(len(splits) > 1 for splits in split_of)


def _look_at_images(report: Report, data: LabelledFolder, whole: bool) -> None:
    """Add the images' sizes, and those that cannot be read."""
    step = 1 if whole else -(-len(data) // LOOKED_AT)
    files = data.files[::step]

    def size(file: str) -> tuple[int, int] | str:
        try:
            return image_size(file, whole)
        except DatasetError as error:
            return str(error)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        title = f"{'decode' if whole else 'open'} the images of {data.name}"
        results = list(track(pool.map(size, files), title, len(files), "image"))
    sizes = Counter(f"{one[0]} x {one[1]}" for one in results if not isinstance(one, str))
    report.looked_at = len(files)
    report.sizes = dict(sizes.most_common())
    report.unreadable = [one for one in results if isinstance(one, str)]
