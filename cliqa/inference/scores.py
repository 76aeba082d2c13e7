"""Scores of images, and the tables of them that grow row by row: csv or JSON."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cliqa.utils.io import named_error, sync_folder
from cliqa.utils.io import to_json as as_json


@dataclass(frozen=True, slots=True)
class Score:
    """One image's score.

    Args:
        image: The file.
        score: 0..1 in training's terms, higher = better; of a classifier the probability of the
            class. None where the image cannot be read.
        error: Why it cannot be read.
        label: The class, of a classifier.
    """

    image: Path
    score: float | None
    error: str | None = None
    label: str | None = None


def csv_line(row: Score, of_classes: bool = False) -> str:
    """Return a row of a csv table; an image that could not be scored has empty fields."""
    out = io.StringIO()
    score = "" if row.score is None else f"{row.score:.6f}"
    cells = [str(row.image), row.label or "", score] if of_classes else [str(row.image), score]
    # a bare carriage return, which a name may hold, is not quoted by default
    plain = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    (quoted if "\r" in "".join(cells) else plain).writerow(cells)
    return out.getvalue()


def json_row(row: Score, of_classes: bool = False) -> dict[str, str | float | None]:
    """Return a row of a JSON table; an image that could not be scored has an ``"error"`` too."""
    value = row.score
    found: dict[str, str | float | None] = {"image": str(row.image)}
    found |= {"class": row.label, "probability": value} if of_classes else {"score": value}
    return found | ({"error": row.error} if row.error else {})


def _csv_header(of_classes: bool) -> str:
    """Return the first line of a csv table."""
    return "image,class,probability\n" if of_classes else "image,score\n"


def to_csv(rows: Iterable[Score], of_classes: bool = False) -> str:
    """Return a whole csv table, as `ScoreTable` writes it row by row."""
    return _csv_header(of_classes) + "".join(csv_line(row, of_classes) for row in rows)


def to_json(rows: Iterable[Score], of_classes: bool = False) -> str:
    """Return a whole JSON table, as `ScoreTable` writes it row by row."""
    return as_json([json_row(row, of_classes) for row in rows], indent=2) + "\n"


class ScoreTable:
    """A table that is written while images are scored, so that a kill loses no score.

    A file's rows go to ``NAME.part`` beside it, which takes the file's place at the end: a reader
    of the file sees the old table or the new one. What a kill leaves is in ``NAME.part``.

    Args:
        path: A ``.csv`` or ``.json`` file; None for csv on standard output.
        of_classes: The rows have classes.

    Attributes:
        count: Rows so far.
    """

    def __init__(self, path: str | Path | None, of_classes: bool) -> None:
        self.path = None if path is None else Path(path)
        self.of_classes = of_classes
        self.count = 0
        self._file: IO[str] | None = None

    @property
    def part(self) -> Path | None:
        """The file that holds the rows until the table is whole."""
        return None if self.path is None else self.path.with_name(f"{self.path.name}.part")

    def add(self, rows: Sequence[Score]) -> None:
        """Write rows, past the program's and Python's buffers.

        Raises:
            OSError: The disk is full or gone. It names the table.
        """
        text = "".join(map(self._text, rows))
        if not text:
            return
        if self.part is None or self.path is None:
            sys.stdout.write(text)
            sys.stdout.flush()
            return
        with named_error(self.path):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.part.open("w", encoding="utf-8", errors="surrogateescape")
            self._file.write(text)
            self._file.flush()

    def finish(self) -> None:
        """Put the rows in the table's place; without a row an old table stays.

        Raises:
            OSError: The disk is full or gone. It names the table; the rows stay in `part`.
        """
        if self._file is None or self.path is None or self.part is None:
            return
        with named_error(self.path):
            with self._file as file:
                file.write("\n]\n" if self._as_json else "")
                file.flush()
                os.fsync(file.fileno())
            os.replace(self.part, self.path)
        sync_folder(self.path.parent)

    @property
    def _as_json(self) -> bool:
        """Whether the table is JSON."""
        return self.path is not None and self.path.suffix == ".json"

    def _text(self, row: Score) -> str:
        """Return a row as the table's text, with what goes before it."""
        self.count += 1
        if self._as_json:
            lines = as_json(json_row(row, self.of_classes), indent=2).replace("\n", "\n  ")
            return ("[\n  " if self.count == 1 else ",\n  ") + lines
        header = _csv_header(self.of_classes) if self.count == 1 else ""
        return header + csv_line(row, self.of_classes)
