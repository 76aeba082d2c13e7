"""Scoring of uploaded images and folders: which files may be read, and the rows of the table."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from gradio.utils import get_upload_folder
from PIL import Image

from cliqa.api.models import Model
from cliqa.app.errors import short_paths
from cliqa.evaluation.records.tables import number
from cliqa.transforms.decode import read_image
from cliqa.utils.errors import CliqaError, ConfigError

CHUNK = 32
"""Images between two looks at the progress."""

EDGE = 256
"""Shorter edge of thumbnails, in pixels."""

UNIT = "0 to 1"
"""The scale that every model has."""


@dataclass(frozen=True)
class Scored:
    """One image's score.

    Attributes:
        name: The name to show, different from those of the others.
        path: The file.
        value: The score on the chosen scale, or the probability of the class; NaN without one.
        label: The class, of a classifier.
        error: Why there is no score.
    """

    name: str
    path: Path
    value: float
    label: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Batch:
    """Images that were scored together.

    Attributes:
        model: The name of the model, of `Settings.models`.
        dataset: The data set on whose scale the scores are; None for 0..1.
        rows: The images, the best first.
    """

    model: str
    dataset: str | None
    rows: tuple[Scored, ...]

    def row(self, name: object) -> Scored:
        """Return an image by its name.

        Raises:
            ConfigError: It is not among them.
        """
        for row in self.rows:
            if row.name == name:
                return row
        raise ConfigError("That image is not among those scored. Score it again.")


def uploaded(path: object) -> Path:
    """Return an uploaded file.

    The server has checked where it lies; this is a second look, at what is about to be opened.

    Raises:
        ConfigError: It lies elsewhere than in the folder of uploads.
    """
    folder = Path(get_upload_folder()).resolve()
    file = Path(str(path)).resolve()
    if not file.is_relative_to(folder) or not file.is_file():
        raise ConfigError("That is no uploaded file. Upload it first.")
    return file


def dataset_of(scale: object) -> str | None:
    """Return the data set of a chosen scale, None for 0 to 1.

    Raises:
        ConfigError: It is no text.
    """
    if not isinstance(scale, str):
        raise ConfigError("Choose a scale from the list.")
    return None if scale == UNIT else scale


def score_files(
    model: Model,
    paths: Sequence[Path],
    dataset: str | None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Scored]:
    """Return the scores of files, the best first, and those without a score at the end.

    Args:
        model: The model.
        paths: The files; one that is no image has an error.
        dataset: The data set of the run on whose scale scores are; None for 0..1.
        on_progress: Told how many of how many are done.
    """
    names = different([path.name for path in paths])
    found: list[Scored] = []
    for start in range(0, len(paths), CHUNK):
        chunk = paths[start : start + CHUNK]
        found += _scored(model, chunk, names[start : start + CHUNK], dataset)
        on_progress(len(found), len(paths))
    lower = _lower_is_better(model, dataset)
    return sorted(found, key=lambda row: _rank(row, lower))


def _scored(
    model: Model, paths: Sequence[Path], names: Sequence[str], dataset: str | None
) -> Iterator[Scored]:
    """Yield the scores of some files."""
    scale: tuple[float, float] | None = None if dataset or model.classes else (0.0, 1.0)
    table = model.predict(list(paths), scale=scale, dataset=dataset)
    values = table["probability" if model.classes else "score"]
    labels = table["class"] if model.classes else [None] * len(table)
    for path, name, value, label, error in zip(
        paths, names, values, labels, table["error"], strict=True
    ):
        why = short_paths(error) if isinstance(error, str) else None  # pandas has NaN for none
        yield Scored(name, path, float(value), label if isinstance(label, str) else None, why)


def _lower_is_better(model: Model, dataset: str | None) -> bool:
    """Return whether the best score on a data set's scale is the lowest."""
    if dataset is None:
        return False
    return not model.scale_of(dataset).higher_is_better


def _rank(row: Scored, lower: bool) -> tuple[bool, str, float, str]:
    """Return what rows are sorted by: classes by name, scores by quality, then by name."""
    value = row.value if lower else -row.value
    return row.error is not None, row.label or "", 0.0 if row.error else value, row.name


def different(names: Sequence[str]) -> list[str]:
    """Return names that differ: a second ``a.png`` is called ``a.png (2)``.

    >>> different(["a.png", "b.png", "a.png"])
    ['a.png', 'b.png', 'a.png (2)']
    """
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def as_table(rows: Sequence[Scored], of_classes: bool) -> pd.DataFrame:
    """Return rows as the page shows them, numbers as text."""
    columns: dict[str, list[str]] = {"image": [row.name for row in rows]}
    if of_classes:
        columns["class"] = [row.label or "" for row in rows]
    values = ["" if row.error else number(row.value) for row in rows]
    columns["probability" if of_classes else "score"] = values
    if any(row.error for row in rows):
        columns["note"] = [row.error or "" for row in rows]
    return pd.DataFrame(columns)


def write_csv(rows: Sequence[Scored], of_classes: bool) -> Path:
    """Write rows as a csv file into a new folder among the uploads, and return it."""
    table = pd.DataFrame({"image": [row.name for row in rows]})
    if of_classes:
        table["class"] = [row.label for row in rows]
    table["probability" if of_classes else "score"] = [row.value for row in rows]
    table["error"] = [row.error for row in rows]
    os.makedirs(get_upload_folder(), exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=get_upload_folder())) / "scores.csv"
    table.to_csv(path, index=False, float_format="%.6f")
    return path


def thumbnail(path: Path) -> Image.Image | None:
    """Return a small version of an image as the model reads it; None if it cannot be read."""
    try:
        pixels = read_image(path, shorter_edge=EDGE).permute(1, 2, 0).numpy()
    except CliqaError:
        return None
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((2 * EDGE, 2 * EDGE))
    return image
