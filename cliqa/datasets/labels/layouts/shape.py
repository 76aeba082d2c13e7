"""What the first rows of a text file tell: the sign between columns, and whether they are named."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from cliqa.datasets.labels.sheet import has_decimal_comma, is_number
from cliqa.utils.errors import DatasetError

DELIMITERS = "=,;\t|"
"""Characters that may separate columns."""

_GUESSED = "\t;|,= "
"""Delimiters in the order in which they are tried: a comma or a blank may be a part of a cell."""

_LOOKED_AT = 20
_SHOWN = 3


def guess_delimiter(lines: Sequence[str], required: Sequence[str], count: int = 0) -> str:
    r"""Return the character between a file's columns; ``" "`` for any blanks, "," where none fits.

    Args:
        lines: The file's lines that are not blank, at least one.
        required: Names that the first line has, if it names the columns.
        count: How many columns there are, if that is known.

    >>> guess_delimiter(["a.jpg;3,5", "b.jpg;4"], ())
    ';'
    """
    for sign in _GUESSED:
        if required and set(required) <= {cell.strip() for cell in parted(lines[0], sign)}:
            return sign
    for sign in _GUESSED:
        widths = {len(parted(line, sign)) for line in lines[:_LOOKED_AT]}
        if len(widths) == 1 and (widths == {count} or (not count and min(widths) > 1)):
            return sign
    return ","


def parted(line: str, sign: str) -> list[str]:
    """Return a line's cells."""
    if sign == " ":
        return line.split()
    try:
        return next(csv.reader([line], delimiter=sign, skipinitialspace=True), [])
    except csv.Error:  # a cell too long to be one
        return [line]


def shown_rows(cells: Sequence[Sequence[str]]) -> str:
    """Return the first rows as they were read, for a message.

    >>> shown_rows([["a.jpg", "3"], ["b.jpg", "4"]])
    "['a.jpg', '3'] ['b.jpg', '4']"
    """
    return " ".join(str([cell[:40] for cell in row[:8]]) for row in cells[:_SHOWN])


def is_plain_number(cell: str) -> bool:
    """Return whether a cell is a number, with a decimal point or a decimal comma."""
    return is_number(cell) or has_decimal_comma(cell)


def are_data(cells: Sequence[str]) -> bool:
    """Return whether cells are an image and a number rather than names, of which some are digits.

    >>> are_data(["a.jpg", "3"]), are_data(["image_name", "1", "2", "mos"])
    (True, False)
    """
    numbers = [cell for cell in cells if is_plain_number(cell)]
    telling = any("." in cell or "," in cell for cell in numbers) or any(
        "/" in cell or re.search(r"\.[A-Za-z]\w{1,4}$", cell) for cell in cells
    )
    return bool(numbers) and (telling or len(numbers) == len(cells))


def names_without_header(first: Sequence[str]) -> list[str] | None:
    """Return names for the columns of a file whose first row holds data; None for a header row.

    >>> names_without_header(["a.jpg", "3.5"]), names_without_header(["image", "score"])
    (['image', 'score'], None)
    """
    cells = [cell.strip() for cell in first]
    if len(cells) < 2 or not are_data(cells):
        return None
    return names_of_cells(cells, ("image", "score"))


def names_of_cells(cells: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return names for a row's cells, those `required` for the image (no number) and the score."""
    numeric = [is_plain_number(cell) for cell in cells]
    image = numeric.index(False) if False in numeric else 0
    score = next((i for i, yes in enumerate(numeric) if yes and i != image), None)
    names = {image: required[0], score: required[1]}
    return [names.get(place, "") for place in range(len(cells))]


def plain_names(cells: Sequence[str], required: Sequence[str]) -> list[str]:
    """Return names for a row's cells where one alone may be the image and one the score.

    Others are called by their places, from 0.

    >>> plain_names(["a.jpg", "3.5"], ("image", "score"))
    ['image', 'score']
    >>> plain_names(["a.jpg", "3.5", "0.2"], ("image", "score"))
    ['image', '1', '2']
    """
    numeric = [is_plain_number(cell) for cell in cells]
    names = [str(place) for place in range(len(cells))]
    for yes, name in zip((False, True), required, strict=False):
        if numeric.count(yes) == 1:
            names[numeric.index(yes)] = name
    return names


def fitting_layout(cells: Sequence[str]) -> str:
    """Return the layout whose rows a row without a header looks like; empty for none.

    >>> fitting_layout(["Images/1.bmp", "3.18", "0.59"]), fitting_layout(["a.jpg", "3"])
    ('biqa_cl', '')
    """
    kinds = "".join("n" if is_plain_number(cell) else "t" for cell in cells)
    return {"tnn": "biqa_cl", "tntttt": "liqe"}.get(kinds, "")


def check_no_pairs(path: Path, cells: Sequence[str]) -> None:
    """Refuse a list of pairs, such as BIQA_CL's ``*_train.txt``.

    Its rows are ``image1 image2 p std1 std2 y``: p is the probability that the first is better.

    Raises:
        DatasetError: The row is of a pair.
    """
    kinds = "".join("n" if is_plain_number(cell) else "t" for cell in cells)
    if kinds != "ttnnnn" or cells[5].strip() not in ("0", "1"):
        return
    scores = path.name.replace("_train.txt", "_train_score.txt")
    beside = f"{scores} beside it" if scores != path.name else "another file of the same split"
    raise DatasetError(
        f"{path}, row 1: a list of pairs (image, image, p, std, std, y), which follow from the "
        f"images' scores: these are in {beside}. Set labels to that file; a pairwise loss such as "
        "dict(type='FidelityLoss', raters=True) forms the pairs of every batch."
    )
