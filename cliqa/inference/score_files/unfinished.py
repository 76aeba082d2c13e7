"""Reading a table of scores that may end in the middle of a row.

Rows are read one by one, so that a long table takes little memory. The last row counts if it is
whole: a row of csv ends with a line break outside of quotes, an object of JSON with its bracket.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from cliqa.utils.errors import ConfigError

Row = tuple[str, bool, int]
"""An image's name, whether it has a score, and the bytes up to the end of its row."""


@dataclass
class WholeRows:
    """The whole rows of a table.

    Attributes:
        images: The images, in order.
        without_score: How many of them have no score.
        size: Bytes up to the end of the last whole row.
    """

    images: list[str] = field(default_factory=list)
    without_score: int = 0
    size: int = 0


def read_whole_rows(path: Path, is_json: bool, header: str) -> WholeRows:
    """Return what is whole in a table.

    Args:
        path: The table, or its part.
        is_json: It is JSON, else csv.
        header: The first line of a csv table, with its line break.

    Raises:
        ConfigError: A row is not one of such a table.
    """
    found = WholeRows()
    with path.open("rb") as file:
        rows = _json_rows(file) if is_json else _csv_rows(file, header, path)
        try:
            for image, has_score, end in rows:
                found.images.append(image)
                found.without_score += not has_score
                found.size = end
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise _no_table(
                path, f"row {len(found.images) + 1} cannot be read ({error})"
            ) from error
    return found


def images_left(
    paths: Sequence[Path], done: Sequence[str], batch: int, table: str
) -> tuple[list[Path], int]:
    """Return the images that have no row yet, after those that only complete their batch.

    Batches are those of a run that was never stopped, so that every bit of the rows is the same:
    the rounding of a network's sums depends on the images beside an image.

    Args:
        paths: All images, in order.
        done: Those with rows.
        batch: Images a batch.
        table: The table, for messages.

    Returns:
        The images, and how many of the first of them have rows already.

    Raises:
        ConfigError: There are rows of other images.

    >>> images_left([Path("a"), Path("b"), Path("c"), Path("d")], ["a", "b", "c"], 2, "s.csv")
    ([PosixPath('c'), PosixPath('d')], 1)
    """
    names = [str(path) for path in paths]
    count = len(done)
    if names[:count] == list(done):
        begun = count % batch if count < len(names) else 0
        return list(paths[count - begun :]), begun
    rows = Counter(done)
    rows.subtract(names)
    other = next((name for name, more in rows.items() if more > 0), None)
    if other is not None:
        raise ConfigError(
            f"--resume: {table} has a row of {other}, which is not among the images now. Give the "
            "same images as then, from the same folder."
        )
    rows = Counter(done)
    left = []
    for path, name in zip(paths, names, strict=True):
        if rows[name]:
            rows[name] -= 1
        else:
            left.append(path)
    return left, 0


def _csv_rows(file: BinaryIO, header: str, path: Path) -> Iterator[Row]:
    """Yield the whole rows of csv."""
    first = file.readline()
    if not first.endswith(b"\n"):
        return
    if first != header.encode():
        raise _no_table(path, f"its first line is not {header.strip()}")
    width, row, end = header.count(",") + 1, b"", len(first)
    for line in file:
        row += line
        end += len(line)
        if row.count(b'"') % 2 or not row.endswith(b"\n"):
            continue  # the line break is in a name, or the row is cut off
        text = row.decode("utf-8", "surrogateescape")
        (cells,) = csv.reader(io.StringIO(text, newline=""), strict=True)
        if len(cells) != width:
            raise ValueError(f"it has {len(cells)} fields instead of {width}")
        yield cells[0], bool(cells[-1]), end
        row = b""


def _json_rows(file: BinaryIO) -> Iterator[Row]:
    """Yield the whole objects of a list that is written with an indent of two."""
    text, end = b"", 0
    for line in file:
        if line.startswith(b"  {"):
            text = b""
        if line.startswith(b"  }"):
            row = json.loads(text + b"}")
            value = row["probability"] if "class" in row else row["score"]
            yield str(row["image"]), value is not None, end + len(b"  }")
        text += line
        end += len(line)


def _no_table(path: Path, why: str) -> ConfigError:
    """Return the error of a file that is no table of scores."""
    return ConfigError(
        f"--resume: {path} is not a table of this model's scores: {why}. Delete it to begin anew, "
        "or give another --out."
    )
