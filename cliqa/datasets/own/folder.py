"""Where the images of a label file lie, and the suffix that it leaves out."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cliqa.datasets.image_files import match_images
from cliqa.datasets.image_listing import is_hidden, is_image
from cliqa.datasets.labels.table import has_suffix, with_suffix
from cliqa.datasets.own.asked import OpenQuestion

PROBED = 100
"""Images that are looked for, evenly from the whole file."""

FOLDERS = 100
"""Folders beside the label file that are looked into."""


class Place(NamedTuple):
    """Where images lie.

    Attributes:
        folder: The folder, as `ScoreFile` takes it: relative to the label file's, or absolute.
        suffix: What to add to the names; empty for nothing.
        found: How many of the probed images are there.
    """

    folder: str
    suffix: str
    found: int


def guess_folder(
    label_file: Path, images: Sequence[str], given: Mapping[str, Any], place: int
) -> tuple[str, str]:
    """Return the images' folder, relative to the label file's, and the suffix of their names.

    Looked into are the label file's folder, the folders in it, the one above it, and the current
    folder.

    Args:
        label_file: The label file.
        images: The images' names in it, at least one.
        given: The data set's options that the user has set: ``images`` and ``suffix`` are kept.
        place: The data set's place in the stream, for the question.

    Raises:
        OpenQuestion: The images are in none of the folders, or equally many are in several.
    """
    base, suffix = label_file.parent, given.get("suffix")
    probed = [name.replace("\\", "/") for name in images[:: -(-len(images) // PROBED)]]
    if "images" in given:
        return str(given["images"]), _find(base, str(given["images"]), probed, suffix).suffix
    beside = [_find(base, name, probed, suffix) for name in _folders(base)]
    # in this order: where a folder has all that another one has, the first is meant
    tried = [_find(base, "", probed, suffix), max(beside, key=_count, default=None)]
    tried += [_find(base, folder, probed, suffix) for folder in ("..", os.getcwd())]
    best = max((one for one in tried if one is not None), key=_count)
    alike = [one.folder for one in beside if one.found == best.found]
    if best.found and not (best in beside and len(alike) > 1):
        return best.folder, best.suffix
    if best.found:
        question = f"its images are in several folders below {base}: which is meant?"
    else:
        shown = ", ".join([str(base), *(one.folder for one in beside[:3])])
        question = (
            f"where are its images, such as '{images[0]}'? They are not in {shown}"
            f"{' and others' if len(beside) > 3 else ''}."
        )
        alike = ["FOLDER"]
    raise OpenQuestion(label_file, question, "images", alike[:4], place)


def _count(one: Place) -> int:
    """Return how many images a place has."""
    return one.found


def _folders(base: Path) -> list[str]:
    """Return the folders beside a label file, sorted."""
    try:
        with os.scandir(base) as entries:
            names = sorted(one.name for one in entries if one.is_dir() and not is_hidden(one.name))
    except OSError:
        return []
    return names[:FOLDERS]


def _find(base: Path, folder: str, names: Sequence[str], suffix: str | None) -> Place:
    """Return how many of the images are in a folder, with a suffix if the names have none."""
    own = suffix or ""
    if suffix is None and not any(map(has_suffix, names)):
        own = _suffix(base / folder, names)
    matched = match_images(base / folder, with_suffix(names, own) if own else names)
    return Place(folder, own, sum(image is not None for image in matched))


def _suffix(folder: Path, names: Sequence[str]) -> str:
    """Return the commonest suffix of the images that are called as the names."""
    wanted = {posixpath.basename(name) for name in names}
    parents = {posixpath.dirname(name) for name in names}
    found: Counter[str] = Counter()
    for parent in parents:
        try:
            files = os.listdir(folder / parent)
        except (OSError, ValueError):
            continue
        pairs = [posixpath.splitext(file) for file in files if is_image(file)]
        found.update(ending for stem, ending in pairs if stem in wanted)
    return found.most_common(1)[0][0] if found else ""
