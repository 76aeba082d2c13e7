"""All that is wrong with a user's own data set, and what is in it, read without torch."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cliqa.datasets.image_files import describe_missing, find_folder, join_paths, match_images
from cliqa.datasets.image_listing import find_path
from cliqa.datasets.image_roots import placed_in
from cliqa.datasets.labels.layouts.layout import known_set
from cliqa.datasets.labels.layouts.parts import LabelFiles, listed_files
from cliqa.datasets.labels.table import SPLITS, ScoreTable, check_range, check_table
from cliqa.datasets.splits import check_fractions, seeded_splits, with_validation
from cliqa.transforms.image_file import open_image
from cliqa.utils.errors import DatasetError
from cliqa.utils.mistakes import Mistakes
from cliqa.utils.paths import home_path, name_after

LOOKED_AT = 20000
"""Images of a data set whose files are opened, evenly from all of them."""

TAIL = 2**16
"""Bytes at a JPEG's end in which its end marker is looked for."""

_END = b"\xff\xd9"


@dataclass(frozen=True)
class Contents:
    """What a data set holds.

    Attributes:
        table: Its labels, checked, without repeated rows; None where they cannot be read.
        folder: The images' folder.
        repeated: Rows that repeat an earlier one.
        copies: Images whose files are equal to another one's.
        looked_at: Images whose files were opened.
        drawn: The splits are drawn, not given by the file.
        mistakes: What is wrong, a line each.
    """

    table: ScoreTable | None
    folder: Path | None
    repeated: int
    copies: int
    looked_at: int
    drawn: bool
    mistakes: Sequence[str]

    def lines(self, seed: int) -> list[str]:
        """Return the splits and the checks in words; none where something is wrong."""
        if self.table is None or self.mistakes:
            return []
        counts = Counter(self.table.splits or ())
        shown = ", ".join(f"{split} {counts[split]}" for split in SPLITS)
        how = f"drawn with the seed {seed}" if self.drawn else "by the file, where it has them"
        groups = set(self.table.groups or ())
        kept = f", {len(groups)} groups kept together" if groups else ""
        looked = f" of {self.looked_at} looked at" if self.looked_at < len(self.table) else ""
        return [
            f"images: {len(self.table)} in {self.folder}",
            f"splits: {shown} ({how}{kept})",
            f"checks: repeated rows {self.repeated}, copies of another image {self.copies}, "
            f"unreadable images 0{looked}",
        ]


def examine(section: Mapping[str, Any], root: Path, copies: bool = False) -> Contents:
    """Read a `ScoreFile`'s labels and look at its images' files.

    Args:
        section: Its options; ``score_range`` may be missing, and is not checked then.
        root: Its folder.
        copies: Count equal files too.
    """
    mistakes = Mistakes()
    first = listed_files(section["labels"])[0]
    name = str(section.get("name") or name_after(first))
    found: dict[str, Any] = {}
    with _quiet(), mistakes.noted():
        raw = _read(section, root, name, mistakes)
        found["drawn"] = raw.splits is None
        found["table"] = raw
        ends = section.get("score_range") or _known_range(section.get("layout"), first)
        table = check_table(raw, None if ends is None else check_range(ends, name))
        found["repeated"] = len(raw) - len(table)
        found["table"] = _with_splits(table, section, name)
    if "table" in found and isinstance(section.get("missing", "error"), str):
        with mistakes.noted():
            folder, files = _images(found["table"], section, root, name, mistakes)
            found |= {"folder": folder, "copies": count_copies(files) if copies else 0}
            looked = files[:: -(-len(files) // LOOKED_AT) or 1]
            found["looked_at"] = len(looked)
            if section.get("on_bad_image", "error") == "error":
                mistakes.add(_describe(unreadable_files(looked), len(files), name))
    return Contents(
        table=found.get("table"),
        folder=found.get("folder"),
        repeated=found.get("repeated", 0),
        copies=found.get("copies", 0),
        looked_at=found.get("looked_at", 0),
        drawn=found.get("drawn", False),
        mistakes=mistakes.lines,
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings back: the data set itself gives them again when it is built."""
    owner = logging.getLogger("cliqa.datasets")
    before = owner.level
    owner.setLevel(logging.ERROR)
    try:
        yield
    finally:
        owner.setLevel(before)


def _read(section: Mapping[str, Any], root: Path, name: str, mistakes: Mistakes) -> ScoreTable:
    """Return the rows of a data set's label files, with known splits."""
    files = LabelFiles.of(section)
    table = files.read(lambda file, option: _label_file(root, file, name), name)
    try:
        return files.with_splits(table)
    except DatasetError as error:
        mistakes.add([str(error)])
        return replace(table, splits=None)


def _known_range(layout: str | None, file: str) -> tuple[float, float] | None:
    """Return the range of a published file's scores, None where a layout does not tell it."""
    known = known_set(layout, file)
    return None if known is None else known.score_range


def _label_file(root: Path, file: str, name: str) -> Path:
    """Return the path of a label file."""
    if not root.is_dir():
        raise DatasetError(
            f"{name}: no folder {root} (from {Path.cwd()}). Set scenario.dataset_root='...' to the "
            "folder of your data, or give the label file with --data."
        )
    return find_path(root / home_path(file))


def _with_splits(table: ScoreTable, section: Mapping[str, Any], name: str) -> ScoreTable:
    """Return a table with drawn splits where it has none, and with a val."""
    shares = check_fractions(section.get("fractions", (0.8, 0.1, 0.1)), name)
    seed = section.get("seed", 0)
    if table.splits is not None:
        return with_validation(table, shares, seed, name)
    units = table.groups if table.groups is not None else table.images
    where, fold = f"{name}: {table.source}", section.get("fold")
    splits = seeded_splits(units, shares, seed, where, fold)
    return replace(table, splits=splits)


def _images(
    table: ScoreTable, section: Mapping[str, Any], root: Path, name: str, mistakes: Mistakes
) -> tuple[Path, list[str]]:
    """Return the folder of the images, and the files that are there."""
    advice = " Set images='...' to its path."
    images = section.get("images") or ""
    if not isinstance(images, str):
        table, images = placed_in(table, root, images, name), ""
    folder = find_folder(root, (images,), table.images, name, advice)
    matched = match_images(folder, table.images)
    absent = [index for index, image in enumerate(matched) if image is None]
    if absent and (section.get("missing", "error") == "error" or len(absent) == len(table)):
        mistakes.add(
            [
                f"{name}: {describe_missing(table, folder, absent)} Add them, correct images='...'"
                ", or set missing='skip' to leave rows without an image out."
            ]
        )
    return folder, join_paths(folder, [image for image in matched if image is not None])


def unreadable_files(files: Sequence[str]) -> list[str]:
    """Return why images cannot be read, of those that cannot; see `image_size`."""
    mistakes = Mistakes()
    for file in files:
        with mistakes.noted():
            image_size(file)
    return mistakes.lines


def image_size(file: str, whole: bool = False) -> tuple[int, int]:
    """Return an image's width and height in pixels.

    Its header is read, and the end of a JPEG, which tells a download that broke off; what looks cut
    is decoded. Damage in the middle of a file is found with `whole`, which decodes all of it.

    Raises:
        DatasetError: It cannot be read.
    """
    with open_image(file) as image:
        if whole or (image.format == "JPEG" and not _has_end(file)):
            image.load()
        return image.size


def _has_end(file: str) -> bool:
    """Return whether a JPEG file ends with its end marker, or soon after it."""
    with open(file, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - TAIL))
        return _END in stream.read()


def _describe(reasons: Sequence[str], count: int, name: str) -> list[str]:
    """Return a line on unreadable images, none for none."""
    if not reasons:
        return []
    return [
        f"{name}: {len(reasons)} of {count} images cannot be decoded. The first: {reasons[0]} Or "
        "set on_bad_image='skip' to leave such images out."
    ]


def count_copies(files: Sequence[str]) -> int:
    """Return how many files are equal to an earlier one; see `equal_files`."""
    return sum(len(alike) - 1 for alike in equal_files(files))


def equal_files(files: Sequence[str]) -> list[list[str]]:
    """Return the groups of files of equal content; only files of equal size are read."""
    same: dict[Any, list[str]] = defaultdict(list)
    for file in dict.fromkeys(files):
        with contextlib.suppress(OSError):
            same[os.stat(file).st_size].append(file)
    for read in (_ends_of, _digest_of):
        parted: dict[Any, list[str]] = defaultdict(list)
        for key, alike in same.items():
            for file in alike if len(alike) > 1 else ():
                with contextlib.suppress(OSError):
                    parted[key, read(file)].append(file)
        same = parted
    return [alike for alike in same.values() if len(alike) > 1]


def _ends_of(file: str) -> bytes:
    """Return a file's last bytes, which differ in most images of one size."""
    with open(file, "rb") as stream:
        stream.seek(-min(4096, os.stat(file).st_size), os.SEEK_END)
        return stream.read()


def _digest_of(file: str) -> bytes:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.digest()
