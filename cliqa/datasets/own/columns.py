"""Which column of a label file holds the images, the scores, and what else it may tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cliqa.config.suggest import listed
from cliqa.datasets.labels.layouts.shape import is_plain_number
from cliqa.datasets.labels.sheet import Sheet
from cliqa.datasets.own.asked import OpenQuestion
from cliqa.datasets.splits import is_split_word
from cliqa.transforms.image_file import IMAGE_SUFFIXES
from cliqa.utils.errors import DatasetError
from cliqa.utils.mistakes import Mistakes

NAMES: dict[str, frozenset[str]] = {
    what: frozenset(names.split())
    for what, names in {
        "image": "image images img imagename imgname imagefile imgfile imagepath imgpath "
        "imagefilename filename file filepath path name photo picture distimg distimage distorted "
        "distortedimage distname",
        "score": "score scores mos dmos quality rating ratings meanopinionscore meanscore "
        "meanrating qualityscore imagequality moszscore",
        "std": "std sd stddev stdev standarddeviation sigma sos mosstd stdmos dmosstd stddmos "
        "scorestd stdscore mossd sdmos ratingstd",
        "group": "group groups reference ref refimg refimage refname referenceimage referencename "
        "refid source sourceimage src srcimg original originalimage scene content prompt",
        "split": "split splits set subset partition phase usage",
    }.items()
}
"""Usual names of a column, without capitals and signs, by what it holds."""

PARTS = re.compile("mos|score|quality|rating")
"""What is in the names of columns that may hold scores, where none has a usual name."""

COUNTERS = frozenset({"", "id", "index", "idx", "number", "no", "row", "unnamed0"})
"""Names of columns that count rows."""

Columns = dict[str, str | None]
"""Column names by what they hold: image, score, std, group, split; None for none."""


def plain_name(name: str) -> str:
    """Return a column's name without capitals and signs.

    >>> plain_name("Image_Name"), plain_name("MOS (z-score)")
    ('imagename', 'moszscore')
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def guess_columns(sheet: Sheet, given: Mapping[str, Any], place: int) -> Columns:
    """Return which column holds what.

    Args:
        sheet: The label file.
        given: The data set's options that the user has set; ``image_column`` and so on are kept.
        place: The data set's place in the stream, for the questions.

    Raises:
        DatasetError: Several columns, or none, may hold the images or the scores; both questions
            come in one error.
    """
    keys = {what: f"{what}_column" for what in NAMES}
    found: Columns = {what: given[key] for what, key in keys.items() if key in given}
    for what in ("split", "group", "std"):
        if what not in found:
            found[what] = _optional(sheet, what, found)
    mistakes = Mistakes()
    for what, guess in (("image", _image_column), ("score", _score_column)):
        with mistakes.noted():
            if what not in found:
                found[what] = guess(sheet, found, place)
    mistakes.raise_as(DatasetError)
    if found["group"] is None and "group_column" not in given:
        found["group"] = _references(sheet, found)
    return {what: found[what] for what in NAMES}


def unused_columns(sheet: Sheet, columns: Columns) -> list[str]:
    """Return the columns that hold nothing of use."""
    return [name for name in sheet.columns if name not in columns.values()]


def _optional(sheet: Sheet, what: str, taken: Columns) -> str | None:
    """Return the column of splits, groups or deviations; None where there is none for sure."""
    fits: Callable[[Sequence[str]], bool] = {
        "split": lambda cells: all(map(is_split_word, cells)),
        "group": lambda cells: len(cells) >= 2 * len(set(cells)) and len(set(cells)) >= 3,
        "std": lambda cells: all(map(_is_deviation, cells)),
    }[what]
    own = [
        name
        for name, cells in sheet.columns.items()
        if plain_name(name) in NAMES[what] and name not in taken.values()
    ]
    usual = what if what in own else None  # a column of the documented name is meant, always
    fitting = [name for name in own if "" not in sheet.columns[name] and fits(sheet.columns[name])]
    return usual or (fitting[0] if len(fitting) == 1 else None)


def _is_deviation(cell: str) -> bool:
    return is_plain_number(cell) and not cell.startswith("-")


def _image_column(sheet: Sheet, taken: Columns, place: int) -> str:
    """Return the column of the images' names."""
    free = {name: cells for name, cells in sheet.columns.items() if name not in taken.values()}
    named = [name for name in free if plain_name(name) in NAMES["image"]]
    if "image" in free:
        return "image"
    pictures = [name for name, cells in free.items() if _are_images(cells)]
    single = [name for name in pictures if len(set(free[name])) > len(free[name]) / 2]
    for found in (single, [name for name in single if name in named], pictures):
        if len(found) == 1:
            return found[0]
    if not pictures and len(named) == 1:
        return named[0]
    if pictures:
        question = f"which column names the images to score: {listed(pictures)}?"
    else:
        question = f"no column names image files. It has {listed(sheet.columns)}."
    answers = pictures or [name for name in free if not _numeric(free[name])] or list(sheet.columns)
    raise OpenQuestion(sheet.source, question, "image_column", _quoted(answers), place)


def _are_images(cells: Sequence[str]) -> bool:
    """Return whether most cells end like the name of an image."""
    return sum(cell.lower().endswith(IMAGE_SUFFIXES) for cell in cells) > len(cells) / 2


def _score_column(sheet: Sheet, taken: Columns, place: int) -> str:
    """Return the column of the scores."""
    free = {
        name: cells
        for name, cells in sheet.columns.items()
        if name not in taken.values() and not _are_images(cells)
    }
    others = NAMES["std"] | NAMES["split"] | NAMES["group"]
    free = {name: cells for name, cells in free.items() if plain_name(name) not in others}
    named = [name for name in free if plain_name(name) in NAMES["score"]]
    if named:
        found = named
    else:
        numeric = [name for name in free if _numeric(free[name])]
        alike = [name for name in numeric if PARTS.search(plain_name(name))]
        found = alike or [name for name in numeric if not _counts(name, free[name])]
    exact = [name for name in found if plain_name(name) in ("score", "mos", "dmos")]
    for one in (found, exact):
        if len(one) == 1:
            return one[0]
    if found:
        question = f"which column holds the scores: {listed(found)}?"
    else:
        question = f"no column holds numbers that are scores. It has {listed(sheet.columns)}."
    answers = _quoted(exact or found or list(sheet.columns))
    raise OpenQuestion(sheet.source, question, "score_column", answers, place)


def _numeric(cells: Sequence[str]) -> bool:
    """Return whether most cells are numbers."""
    return sum(map(is_plain_number, cells)) > len(cells) / 2


def _counts(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column counts the rows."""
    if plain_name(name) in COUNTERS:
        return True
    return len(cells) > 1 and list(cells) in (
        [str(start + row) for row in range(len(cells))] for start in (0, 1)
    )


def _references(sheet: Sheet, taken: Columns) -> str | None:
    """Return another column of images' names, of which every one has several rows."""
    found = [
        name
        for name, cells in sheet.columns.items()
        if name not in taken.values() and _are_images(cells) and len(cells) >= 2 * len(set(cells))
    ]
    return found[0] if len(found) == 1 else None


def _quoted(names: Sequence[str]) -> list[str]:
    """Return at most four names as the command line takes them."""
    return [name if re.fullmatch(r"[\w.-]+", name) else f'"{name}"' for name in names[:4]]
