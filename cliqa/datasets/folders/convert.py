"""A data set as the one csv file that the generic reader reads."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from cliqa.datasets.quality.labelled_folder import LabelledFolder

COLUMNS = ("image", "score", "std", "group", "split")
"""The columns that `ScoreFile` knows by these names."""


def csv_text(data: LabelledFolder) -> str:
    """Return a data set's rows as the text of a csv file.

    Scores are written with all their digits, and the splits that the data set has, drawn ones too.
    Attributes are further columns. The raters' distributions have no column.
    """
    table = data.table
    columns: dict[str, Any] = {
        "image": table.images,
        "score": [repr(score) for score in table.raw.tolist()],
        "std": None if table.std is None else [repr(std) for std in table.std.tolist()],
        "group": table.groups,
        "split": data.splits,
    }
    columns |= {name: cells for name, cells in table.attributes.items() if name not in COLUMNS}
    used = {name: cells for name, cells in columns.items() if cells is not None}
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(used)
    rows.writerows(zip(*used.values(), strict=True))
    return out.getvalue()


def generic_section(data: LabelledFolder, file: str | Path) -> dict[str, Any]:
    """Return the section of a config under which the csv file is read, without its root.

    Args:
        data: The data set that the file was written from.
        file: The csv file.
    """
    place = os.path.relpath(Path(file).absolute(), data.root)
    images = os.path.relpath(data.image_folder, data.root)
    return {
        "type": "ScoreFile",
        "labels": Path(file).absolute().as_posix() if place.startswith("..") else place,
        "score_range": data.score_range,
        "higher_is_better": data.higher_is_better,
        "name": data.name,
        "identity": data.identity or data.default_name,
        **({} if images == "." else {"images": images}),
    }
