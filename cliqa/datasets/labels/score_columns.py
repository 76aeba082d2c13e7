"""The columns of a user's own label file: images, scores, and what else it tells of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.datasets.labels.columns import shares_of_votes
from cliqa.datasets.labels.csv_labels import read_csv
from cliqa.datasets.labels.json_labels import read_json
from cliqa.datasets.labels.layouts.layout import layout_of
from cliqa.datasets.labels.parquet import read_parquet
from cliqa.datasets.labels.sheet import Decimal, MissingColumnsError, Sheet
from cliqa.datasets.labels.spreadsheet import read_xlsx
from cliqa.datasets.labels.table import ScoreTable, with_suffix
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.mistakes import Mistakes

NAMED = (".json", ".xlsx", ".parquet")
"""Suffixes of files that name their columns; all others are read as text."""

Column = str | int
"""A column's name, or its place from 0."""


@dataclass(frozen=True)
class Reading:
    """How a label file is read; the options are `ScoreFile`'s."""

    image_column: Column = "image"
    score_column: Column | None = "score"
    std_column: Column | None = "std"
    group_column: Column | None = "group"
    split_column: Column | None = "split"
    delimiter: str | None = None
    suffix: str = ""
    columns: Sequence[str] | None = None
    header: bool | None = None
    decimal: Decimal | None = None
    vote_columns: Mapping[Column, float] | None = None
    layout: str | None = None

    def columns_read(self) -> dict[str, Column | None]:
        """Return the columns by the options that name them."""
        return {key: getattr(self, key) for key in USUAL if key.endswith("_column")}

    def required(self) -> tuple[str, ...]:
        """Return the columns that must be there under their names: those that are not usual."""
        keys = ("image_column", "score_column")
        named = [
            name
            for key, name in self.columns_read().items()
            if isinstance(name, str) and (key in keys or name != USUAL[key])
        ]
        named += [name for name in self.vote_columns or () if isinstance(name, str)]
        return tuple(dict.fromkeys(named))

    def filled(self, own: Mapping[str, Any]) -> Reading:
        """Return this reading with a layout's options where it has the usual ones."""
        return replace(self, **{k: v for k, v in own.items() if getattr(self, k) == USUAL[k]})

    def by_name(self, sheet: Sheet) -> Reading:
        """Return this reading with the names of columns that it has by their places.

        Raises:
            DatasetError: There is no such column.
        """
        named: dict[str, Any] = {
            key: sheet.named(place)
            for key, place in self.columns_read().items()
            if isinstance(place, int)
        }
        votes = self.vote_columns
        if votes is not None:
            votes = {sheet.named(k) if isinstance(k, int) else k: v for k, v in votes.items()}
        return replace(self, vote_columns=votes, **named)


USUAL: dict[str, Any] = {one.name: one.default for one in fields(Reading)}
"""The options of `ScoreFile` that tell how a file is read, with their usual values."""


def read_scores(path: Path, **options: Any) -> ScoreTable:  # noqa: ANN401
    """Read a csv, xlsx, json or parquet file, one image a row.

    Other suffixes than ``.json``, ``.xlsx`` and ``.parquet`` are read as csv. A json file is a list
    ``[{"image": "a.jpg", "score": 75.32}, ...]``, or has it under ``"files"``; a score may be a
    string. The splits are called as the file calls them.

    Args:
        path: The file.
        options: Those of `Reading`.

    Raises:
        ConfigError: An option is wrong.
        DatasetError: The file is wrong, or columns or cells are: all of them in one error.
    """
    reading = Reading(**options)
    layout = None if reading.layout is None else layout_of(reading.layout)
    reading = reading if layout is None else reading.filled(layout.reading)
    chooses = layout is not None and layout.chooses
    try:
        sheet = read_sheet(path, () if chooses else reading.required(), reading)
        if layout is not None:
            reading = reading.filled(layout.choice(sheet))
        reading = reading.by_name(sheet)
        sheet.require(reading.required())
    except MissingColumnsError as error:
        raise DatasetError(name_options(error, reading.columns_read())) from error
    known = None if layout is None else layout.known_set(path.name)
    if known is None:
        return _as_table(sheet, reading)
    if known.votes and reading.vote_columns is None and set(known.votes) <= set(sheet.columns):
        reading = replace(reading, vote_columns={name: known.votes[name] for name in known.votes})
        if known.exact and options.get("score_column", "score") == "score":
            reading = replace(reading, score_column=None)
    return known.applied(_as_table(sheet, reading))


def name_options(error: MissingColumnsError, options: Mapping[str, Column | None]) -> str:
    """Return what is missing, each column with the option that names another one.

    Args:
        error: What is missing.
        options: Columns by the options ``image_column``, ``score_column`` and so on.
    """
    keys = {name: key for key, name in options.items() if name}
    return "\n".join(
        f"{text} Set {keys[name]}='...' in the data set's config to the column's name, or to its "
        "place from 0."
        if name in keys
        else f"{text} Correct vote_columns in the data set's config."
        for name, text in error.texts.items()
    )


def _as_table(sheet: Sheet, reading: Reading) -> ScoreTable:
    """Return the columns that the options name, all wrong cells in one error."""
    mistakes = Mistakes()
    texts: dict[str, list[str]] = {}
    numbers: dict[str, np.ndarray] = {}
    for key, name in reading.columns_read().items():
        if name is None or name not in sheet.columns:
            continue
        try:
            if key in ("score_column", "std_column"):
                numbers[key] = sheet.numbers(str(name))
            else:
                texts[key] = sheet.text(str(name))
        except DatasetError as error:
            needed = key in ("image_column", "score_column")
            also = "" if needed else f" Or set {key}=None to do without this column."
            mistakes.add([f"{error}{also}"])
    votes, shares = _votes(reading.vote_columns), None
    if votes:
        with mistakes.noted():
            counts = np.stack([sheet.numbers(name) for _, name in votes], axis=1)
            shares = shares_of_votes(counts, sheet.where)
    mistakes.raise_as(DatasetError)
    ratings = tuple(rating for rating, _ in votes)
    if "score_column" not in numbers:
        if shares is None:
            raise ConfigError(
                f"{sheet.source}: score_column=None takes the mean of the votes as the score. Set "
                "vote_columns to the columns that count them."
            )
        numbers["score_column"] = shares @ np.asarray(ratings)
    images, groups, splits = (
        tuple(texts[key]) if key in texts else None
        for key in ("image_column", "group_column", "split_column")
    )
    return ScoreTable(
        images=with_suffix(images or (), reading.suffix) if reading.suffix else images or (),
        raw=numbers["score_column"],
        std=numbers.get("std_column"),
        groups=groups,
        splits=splits,
        rows=sheet.rows,
        source=sheet.source,
        score_name=str(reading.score_column or ""),
        shares=shares,
        ratings=ratings,
        attributes={name: tuple(cells) for name, cells in sheet.columns.items()},
    )


def _votes(columns: Mapping[Column, float] | None) -> list[tuple[float, str]]:
    """Return the ratings, rising, and the columns that count them; none for no columns.

    Raises:
        ConfigError: They are not such.
    """
    try:
        return sorted((float(rating), str(name)) for name, rating in (columns or {}).items())
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            "vote_columns must give the rating that each column counts: {'c1': 1, 'c2': 2}, "
            f"got {columns!r}."
        ) from error


def read_sheet(path: Path, required: tuple[str, ...] = (), reading: Reading | None = None) -> Sheet:
    """Read a label file by its suffix; see `read_scores`.

    Raises:
        ConfigError: `columns` are given for a file that names its own, or are no names.
        DatasetError: The file is wrong, or a `required` column is missing.
    """
    reading = reading or Reading()
    kind = path.suffix.lower()
    if kind in NAMED and (reading.columns is not None or reading.header is False):
        raise ConfigError(
            f"{path}: columns=... and header=False are for csv files without a header row. Name "
            "the columns in the file."
        )
    if kind == ".json":
        sheet = read_json(path, required)
    elif kind == ".xlsx":
        sheet = read_xlsx(path, required)
    elif kind == ".parquet":
        sheet = read_parquet(path, required)
    else:
        own = ("delimiter", reading.columns, "columns", reading.header)
        sheet = read_csv(path, required, reading.delimiter, *own)
    return replace(sheet, decimal=reading.decimal)
