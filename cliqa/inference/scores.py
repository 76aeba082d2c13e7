"""Scores of images, and the tables of them that grow row by row: csv or JSON."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cliqa.inference.score_files.record import Record, check_record, record_of, write_record
from cliqa.inference.score_files.unfinished import WholeRows, read_whole_rows
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import atomic_open, named_error, sync_folder
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
    of the file sees the old table or the new one. What a kill leaves is in ``NAME.part``. With a
    record, which lies beside it until the table is whole, the table can be continued.

    Args:
        path: A ``.csv`` or ``.json`` file; None for csv on standard output.
        of_classes: The rows have classes.
        record: What the rows depend on; see `cliqa.inference.score_files.record`.

    Attributes:
        count: Rows so far.
    """

    def __init__(
        self, path: str | Path | None, of_classes: bool, record: Record | None = None
    ) -> None:
        self.path = None if path is None else Path(path)
        self.of_classes, self.record = of_classes, record
        self.count = 0
        self._file: IO[str] | None = None
        self._continued = False

    @property
    def part(self) -> Path | None:
        """The file that holds the rows until the table is whole."""
        return None if self.path is None else self.path.with_name(f"{self.path.name}.part")

    def resume(self) -> WholeRows:
        """Continue the table that a kill or an interrupt has left, and return its whole rows.

        What follows the last whole row is dropped. Without such a table there are no rows.

        Raises:
            ConfigError: There is no record, it is of other rows, or the table is damaged.
        """
        if self.path is None or self.part is None or self.record is None:
            raise ConfigError("--resume: needs a table in a file. Add --out FILE.")
        source = self.part if self.part.is_file() else self.path
        if not source.is_file() or not source.stat().st_size:
            return WholeRows()
        if not record_of(self.path).is_file():
            raise ConfigError(
                f"--resume: {source} has no {record_of(self.path).name} beside it: it is whole, or "
                "not of this program. Leave --resume out to score all images anew."
            )
        check_record(self.path, self.record)
        found = read_whole_rows(source, self._as_json, _csv_header(self.of_classes))
        if found.images:
            if source != self.part:
                with atomic_open(self.part, "wb") as file, source.open("rb") as rows:
                    shutil.copyfileobj(rows, file)
            os.truncate(self.part, found.size)
            self.count, self._continued = len(found.images), True
        return found

    def add(self, rows: Sequence[Score]) -> None:
        """Write rows, past the program's and Python's buffers.

        Raises:
            OSError: The disk is full or gone. It names the table.
        """
        text = "".join(self._text(row, self.count + k) for k, row in enumerate(rows))
        if not text:
            return
        if self.path is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            with named_error(self.path):
                is_new = self._file is None and not self._continued
                file = self._opened()
                file.write(text)
                file.flush()
                if is_new and self.record is not None:
                    write_record(self.path, self.record)
        self.count += len(rows)

    def _opened(self) -> IO[str]:
        """Return the open part; before a new one an old record goes, which does not describe it."""
        if self._file is None:
            path, part = Path(self.path or ""), Path(self.part or "")
            path.parent.mkdir(parents=True, exist_ok=True)
            if not self._continued:
                record_of(path).unlink(missing_ok=True)
            mode = "a" if self._continued else "w"
            self._file = part.open(mode, encoding="utf-8", errors="surrogateescape")
        return self._file

    def finish(self, whole: bool = True) -> None:
        """Put the rows in the table's place; without a row an old table stays.

        Args:
            whole: The table has all its rows, so that nothing is left to resume.

        Raises:
            OSError: The disk is full or gone. It names the table; the rows stay in `part`.
        """
        if self.path is None or self.part is None:
            return
        if self._file is None and not self._continued:
            return
        with named_error(self.path):
            with self._opened() as file:
                file.write("\n]\n" if self._as_json else "")
                file.flush()
                os.fsync(file.fileno())
            os.replace(self.part, self.path)
        if whole:
            record_of(self.path).unlink(missing_ok=True)
        sync_folder(self.path.parent)

    @property
    def _as_json(self) -> bool:
        """Whether the table is JSON."""
        return self.path is not None and self.path.suffix == ".json"

    def _text(self, row: Score, before: int) -> str:
        """Return a row as the table's text, with what goes before it after so many rows."""
        if self._as_json:
            lines = as_json(json_row(row, self.of_classes), indent=2).replace("\n", "\n  ")
            return (",\n  " if before else "[\n  ") + lines
        header = "" if before else _csv_header(self.of_classes)
        return header + csv_line(row, self.of_classes)
