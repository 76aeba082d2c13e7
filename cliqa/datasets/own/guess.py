"""A label file's options for `ScoreFile`: what is plain is guessed, the rest is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.config.suggest import listed
from cliqa.datasets.image_listing import find_path
from cliqa.datasets.labels.label_file import read_lines
from cliqa.datasets.labels.layouts.layout import guess_layout, known_set
from cliqa.datasets.labels.layouts.shape import (
    DELIMITERS,
    guess_delimiter,
    is_plain_number,
    names_of_cells,
    names_without_header,
)
from cliqa.datasets.labels.score_columns import (
    NAMED,
    USUAL,
    Reading,
    name_options,
    read_scores,
    read_sheet,
)
from cliqa.datasets.labels.sheet import MissingColumnsError, Sheet
from cliqa.datasets.labels.table import ScoreTable, check_range
from cliqa.datasets.own.asked import OpenQuestion
from cliqa.datasets.own.columns import (
    NAMES,
    Columns,
    guess_columns,
    plain_name,
    unused_columns,
)
from cliqa.datasets.own.folder import guess_folder
from cliqa.datasets.own.scale import guess_direction, guess_range
from cliqa.transforms.image_file import IMAGE_SUFFIXES
from cliqa.utils.errors import DatasetError
from cliqa.utils.mistakes import Mistakes

READING = tuple(USUAL)
"""The options of `ScoreFile` that `read_scores` takes."""

KNOWN = frozenset().union(*NAMES.values())
"""All usual names of columns."""


@dataclass
class Guess:
    """What was found out about a label file.

    Attributes:
        section: Options of `ScoreFile`, without its root.
        lines: What was found, in words for the user.
        mistakes: What is wrong, and what the user must answer.
        readable: The columns are known, so that the rows can be checked.
    """

    section: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    mistakes: Mistakes = field(default_factory=Mistakes)
    readable: bool = False


def guess_section(path: str | Path, given: Mapping[str, Any], place: int) -> Guess:
    """Return the options under which a label file is read.

    Args:
        path: A csv, xlsx, json or parquet file.
        given: Options of `ScoreFile` that the user has set: they are taken as they are.
        place: The data set's place in the stream, for the questions.
    """
    path = find_path(path)
    guess = Guess({"type": "ScoreFile", "labels": path.name, **given})
    mistakes = guess.mistakes
    with mistakes.noted():
        layout = given.get("layout") or guess_layout(path)
        if layout:
            _guess_published(guess, path, layout, given, place)
            return guess
        reading = {key: given[key] for key in READING if key in given}
        sheet, reading["delimiter"] = _read(path, given, place)
        named = _named(sheet, given)
        _require(sheet, {**given, **named})
        columns = guess_columns(sheet, {**given, **named}, place)
        reading |= {f"{what}_column": name for what, name in columns.items()}
        reading |= {key: given[key] for key in named}  # two columns may share a name
        guess.lines.append(_columns_line(sheet, columns, reading["delimiter"]))
        image = str(columns["image"])
        guess.readable = True
        with mistakes.noted():
            names = [name for name in sheet.columns[image] if name]
            folder, reading["suffix"] = guess_folder(path, names, given, place)
            guess.section |= {"images": folder} if folder else {}
        guess.section |= {
            key: value
            for key, value in reading.items()
            if value not in (USUAL.get(key), ",") and _matters(key, value, sheet)
        }
        _guess_scale(guess, read_scores(path, **reading), given, place)
    return guess


def _guess_published(
    guess: Guess, path: Path, layout: str, given: Mapping[str, Any], place: int
) -> None:
    """Add what a published layout tells; the scale of a data set that is not known is guessed."""
    reading = {"layout": layout, **{key: given[key] for key in READING if key in given}}
    table = read_scores(path, **reading)
    guess.section["layout"] = layout
    guess.lines.append(f"layout: '{layout}', {len(table)} images")
    guess.readable = True
    with guess.mistakes.noted():
        folder, suffix = guess_folder(path, table.images, given, place)
        guess.section |= {"images": folder} if folder else {}
        guess.section |= {"suffix": suffix} if suffix else {}
    known = known_set(layout, path.name)
    known_scale = {}
    if known is not None:
        known_scale = {
            "score_range": known.score_range,
            "higher_is_better": known.higher_is_better,
        }
        guess.lines.append(f"known data set: '{known.identity}'")
    _guess_scale(guess, table, {**known_scale, **given}, place)
    guess.section = {**known_scale, **guess.section}


def _named(sheet: Sheet, given: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the columns that the user gives by their places."""
    options = {key: given.get(key) for key in (f"{what}_column" for what in NAMES)}
    return {key: sheet.named(place) for key, place in options.items() if isinstance(place, int)}


def _require(sheet: Sheet, given: Mapping[str, Any]) -> None:
    """Refuse columns that the user names and that are not there."""
    options = {f"{what}_column": given.get(f"{what}_column") for what in NAMES}
    try:
        sheet.require([name for name in options.values() if name])
    except MissingColumnsError as error:
        raise DatasetError(name_options(error, options)) from error


def _matters(key: str, value: object, sheet: Sheet) -> bool:
    """Return whether an option changes how a file is read: None only beside a usual column."""
    return value is not None or USUAL[key] in sheet.columns


def _read(path: Path, given: Mapping[str, Any], place: int) -> tuple[Sheet, str]:
    """Return a label file and the character between its columns."""
    given_reading = Reading(**{key: given[key] for key in READING if key in given})
    if path.suffix.lower() in NAMED:
        sheet = read_sheet(path, (), given_reading)
        if path.suffix.lower() == ".xlsx" and _are_labels(list(sheet.columns)):
            raise DatasetError(
                f"{path}: its first row ({listed(sheet.columns)}) holds data, not the names of the "
                "columns. Write a row of names such as image, mos above it."
            )
        return sheet, ","
    delimiter = given["delimiter"] if "delimiter" in given else _delimiter(path)
    reading = replace(given_reading, delimiter=delimiter)
    numbered = any(isinstance(given.get(f"{what}_column"), int) for what in NAMES)
    if reading.columns is not None or reading.header is not None or numbered:
        return read_sheet(path, (), reading), delimiter
    row = read_lines(path)[0][0]  # a blank stands for any number of them
    first = [cell.strip(' "') for cell in row.split(None if delimiter == " " else delimiter)]
    if names_without_header(first) is not None or _are_labels(first):
        names = names_of_cells(first, ("image", "mos"))
        lower = ["dmos" if name == "mos" else name for name in names]
        raise OpenQuestion(
            path,
            "its first row holds data, not the names of the columns. What are they, in their "
            "order ('' for one that is not needed; 'mos' for scores of which higher is better, "
            "'dmos' for others)?",
            "columns",
            [f'"{one}"'.replace(" ", "") for one in (names, lower)],
            place,
        )
    return read_sheet(path, (), replace(reading, header=True)), delimiter


def _are_labels(cells: Sequence[str]) -> bool:
    """Return whether a first row holds an image's file, or a number and no known name."""
    if any(cell.lower().endswith(IMAGE_SUFFIXES) for cell in cells):
        return True
    return any(map(is_plain_number, cells)) and not any(plain_name(cell) in KNOWN for cell in cells)


def _delimiter(path: Path) -> str:
    """Return the character that parts the first row into the most known columns, then cells.

    Raises:
        DatasetError: There is one column alone.
    """
    first = read_lines(path)[0][0]
    if re.fullmatch("sep=.?", first):
        raise DatasetError(f"{path}, row 1: '{first}' is for Excel alone. Delete this row.")

    def parted(delimiter: str) -> tuple[int, int]:
        cells = first.split(delimiter)
        return sum(plain_name(cell) in KNOWN for cell in cells), len(cells)

    best = max("\t;,|=", key=parted)  # the first of equals: a comma may part decimals
    if parted(best)[1] < 2:
        if guess_delimiter(read_lines(path)[0], ()) == " ":
            return " "
        signs = " ".join(repr(sign) for sign in DELIMITERS)
        raise DatasetError(
            f"{path}, row 1: one column alone ('{first[:60]}'), or columns parted by none of "
            f"{signs}. Write a row of names such as image,score above the labels."
        )
    return best


def _columns_line(sheet: Sheet, columns: Columns, delimiter: str) -> str:
    """Return which column was taken for what, and which were not."""
    used = ", ".join(f"{what} = '{name}'" for what, name in columns.items() if name)
    unused = unused_columns(sheet, columns)
    shown = ", ".join(f"'{name}'" for name in unused[:6]) + (" ..." if len(unused) > 6 else "")
    sign = "" if delimiter == "," else f" (parted by {delimiter!r})"
    return f"columns{sign}: {used}{f'; not used: {shown}' if unused else ''}"


def _guess_scale(guess: Guess, table: ScoreTable, given: Mapping[str, Any], place: int) -> None:
    """Add the range and the direction of the scores."""
    table, path, scale = replace(table, splits=None), table.source, ""
    with guess.mistakes.noted():
        if "score_range" not in given:
            ends, others = guess_range(table.raw[np.isfinite(table.raw)], path, place)
            guess.section["score_range"] = ends
            also = " or ".join(f"{low:g}..{high:g}" for low, high in others[:2])
            scale = f" (guessed; {also} would hold them too)" if also else " (guessed)"
    why = ""
    with guess.mistakes.noted():
        if "higher_is_better" not in given:
            guess.section["higher_is_better"], why = guess_direction(table, place)
    if {"score_range", "higher_is_better"} <= set(guess.section):
        low, high = check_range(guess.section["score_range"], str(path))
        better = "higher" if guess.section["higher_is_better"] else "lower"
        guess.lines.append(
            f"scores: {table.raw.min():g}..{table.raw.max():g} on the scale {low:g}..{high:g}"
            f"{scale}, {better} is better{f' ({why})' if why else ''}"
        )
