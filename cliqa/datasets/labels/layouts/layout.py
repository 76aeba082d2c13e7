"""The words for label files of other projects, and the options that each stands for."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from cliqa.datasets.labels.label_file import read_lines
from cliqa.datasets.labels.layouts.known_sets import (
    KADID,
    KONIQ,
    SETS_OF_BIQA_CL,
    SETS_OF_PYIQA,
    SETS_OF_TEXT_LISTS,
    KnownSet,
)
from cliqa.datasets.labels.layouts.shape import (
    are_data,
    fitting_layout,
    guess_delimiter,
    parted,
)
from cliqa.datasets.labels.sheet import Sheet, is_number
from cliqa.registry import closest
from cliqa.utils.errors import ConfigError, DatasetError

logger = logging.getLogger(__name__)

LayoutName = Literal["pyiqa", "biqa_cl", "liqe", "maniqa", "q_align", "koniq", "kadid"]


@dataclass(frozen=True)
class Layout:
    """A kind of label file that a project publishes.

    Attributes:
        reading: The options of `ScoreFile` that it stands for.
        by_place: The columns are told by their places, as pyiqa reads them: image and score, or
            reference image, image and score.
        names: Names of a column by the option that names it: the first that a file has is meant.
        header: Names that the first row of such a file has, where it has a header row.
        named: A pattern of the files' names, whose first group names the data set.
        sets: What is known of the data sets, by the lower-case name that `named` finds.
        parts: The ends of the names of the files of train, val and test.
    """

    reading: Mapping[str, Any] = field(default_factory=dict)
    by_place: bool = False
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    named: str = ""
    sets: Mapping[str, KnownSet] = field(default_factory=dict)
    parts: tuple[str, ...] = ()

    @property
    def chooses(self) -> bool:
        """Whether the options depend on the columns that a file has."""
        return self.by_place or bool(self.names)

    def choice(self, sheet: Sheet) -> dict[str, Any]:
        """Return the options that follow from a file's columns."""
        if self.by_place:
            return _by_place(sheet)
        return _first_there(sheet, self.names)

    def known_set(self, file: str) -> KnownSet | None:
        """Return what is known of the data set in a file, by the file's name; None for nothing."""
        name = PurePosixPath(file.replace("\\", "/")).name
        found = re.match(self.named, name, re.IGNORECASE) if self.named else None
        return self.sets.get(found[1].lower()) if found else None

    def other_parts(self, file: str) -> dict[str, str]:
        """Return the files of val and test beside that of train; none for another file."""
        if not self.parts or not file.endswith(self.parts[0]):
            return {}
        stem = file[: -len(self.parts[0])]
        return {"val": stem + self.parts[1], "test": stem + self.parts[2]}


PYIQA_NAMES = {
    "std_column": ("std", "sd"),
    "split_column": ("official_split", "official split", "split"),
}


def _first_there(sheet: Sheet, names: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return, for each option, the first of its names that a file has as a column."""
    found = {key: [one for one in own if one in sheet.columns] for key, own in names.items()}
    return {key: own[0] for key, own in found.items() if own}


def _by_place(sheet: Sheet) -> dict[str, Any]:
    """Return the columns of a file of pyiqa's: image, score, or reference, image, score."""
    if len(sheet.names) < 2:
        raise DatasetError(
            f"{sheet.source}: one column alone. pyiqa's files have image and score, or reference "
            "image, image and score."
        )
    second = sheet.columns.get(sheet.names[1], [])
    has_reference = bool(second) and not is_number(second[0])
    own: dict[str, Any] = {
        "image_column": int(has_reference),
        "score_column": 1 + has_reference,
    }
    if has_reference:
        own["group_column"] = 0
    own |= _first_there(sheet, PYIQA_NAMES)
    others = [name for name in sheet.names if "split" in name.lower()]
    if others and "split_column" not in own:
        logger.info(
            "%s: the splits %s are there; set split_column='%s' for one of them.",
            *(sheet.source, ", ".join(others), others[0]),
        )
    return own


def _lower(sets: Mapping[str, KnownSet]) -> dict[str, KnownSet]:
    return {name.lower(): known for name, known in sets.items()}


LAYOUTS: dict[str, Layout] = {
    # pyiqa's meta_info_*.csv
    "pyiqa": Layout(
        by_place=True,
        named=r"meta_info_(.+)Dataset",
        sets=_lower(SETS_OF_PYIQA),
    ),
    # the splits of BIQA_CL and UNIQUE: 'path<tab>score<tab>std', no header row
    "biqa_cl": Layout(
        reading={"columns": ("image", "score", "std"), "delimiter": "\t"},
        named=r"([a-z]+(?:10k)?)_",
        sets=SETS_OF_BIQA_CL,
        parts=("_train_score.txt", "_val.txt", "_test.txt"),
    ),
    # the splits of LIQE: path, score, distortion and three scenes, no header row
    "liqe": Layout(
        reading={
            "columns": ("image", "score", "distortion", "scene", "scene2", "scene3"),
            "delimiter": "\t",
        },
        named=r"([a-z]+(?:10k)?)_",
        sets=SETS_OF_BIQA_CL,
        parts=("_train_clip.txt", "_val_clip.txt", "_test_clip.txt"),
    ),
    # the lists of MANIQA and HyperIQA: 'name score', no header row
    "maniqa": Layout(
        reading={"columns": ("image", "score")},
        named=r"([a-z]+(?:10k|2013)?)(?:\d\d)?_",
        sets=SETS_OF_TEXT_LISTS,
    ),
    # the JSON lists of Q-Align: 'image' or 'img_path', and 'gt_score'
    "q_align": Layout(
        names={"image_column": ("image", "img_path"), "score_column": ("gt_score",)},
    ),
    # koniq10k_distributions_sets.csv and koniq10k_scores_and_distributions.csv
    "koniq": Layout(
        names={
            "image_column": ("image_name",),
            "score_column": ("MOS_zscore", "MOS"),
            "std_column": ("SD",),
            "split_column": ("set",),
        },
        header=("image_name", "MOS"),
        named="()",
        sets={"": KONIQ},
    ),
    # KADID-10k's dmos.csv, also called kadid10k.csv
    "kadid": Layout(
        names={
            "image_column": ("dist_img",),
            "score_column": ("dmos",),
            "std_column": ("var",),
            "group_column": ("ref_img",),
        },
        header=("dist_img", "ref_img", "dmos"),
        named="()",
        sets={"": replace(KADID, spread="variance")},
    ),
}


def layout_of(name: str) -> Layout:
    """Return a layout by its word.

    Raises:
        ConfigError: There is none.
    """
    if name not in LAYOUTS:
        raise ConfigError(
            f"layout={name!r}: no such layout.{closest(str(name), LAYOUTS)} There are "
            f"{', '.join(LAYOUTS)}."
        )
    return LAYOUTS[name]


def known_set(layout: str | None, files: str | Sequence[str]) -> KnownSet | None:
    """Return what is known of the data set in the first of some label files; None for nothing."""
    first = files if isinstance(files, str) else next(iter(files), "")
    return None if layout is None else layout_of(layout).known_set(first)


def declared_scale(options: Mapping[str, Any]) -> tuple[Sequence[float], bool]:
    """Return the range of a label file's scores and whether a higher one is better.

    Args:
        options: `ScoreFile`'s. Where they do not give it, a layout may know the data set.

    Raises:
        ConfigError: One of them is not known.
    """
    files, layout = options.get("labels") or "", options.get("layout")
    known = known_set(layout, files)
    found = []
    for key, example in (("score_range", "(0, 100)"), ("higher_is_better", "True")):
        value = options.get(key)
        if value is None and known is None:
            also = f" (layout='{layout}' does not know this file's data set)" if layout else ""
            raise ConfigError(
                f"missing argument '{key}'{also} of {files!r}. Set {key}={example}, or as it is."
            )
        found.append(getattr(known, key) if value is None else value)
    return found[0], bool(found[1])


def guess_layout(path: Path) -> str:
    """Return the layout of a known data set's file, by its name and its first row; empty for none.

    >>> guess_layout(Path("no_such.csv"))
    ''
    """
    fitting = [name for name, one in LAYOUTS.items() if one.known_set(path.name) is not None]
    if path.suffix.lower() not in (".csv", ".txt") or not path.is_file():
        return ""
    if "pyiqa" in fitting:
        return "pyiqa"
    lines, _ = read_lines(path)
    cells = [cell.strip() for cell in parted(lines[0], guess_delimiter(lines, ()))]
    for name in fitting:
        if LAYOUTS[name].header and set(LAYOUTS[name].header) <= set(cells):
            return name
    shape = fitting_layout(cells) or ("maniqa" if len(cells) == 2 and are_data(cells) else "")
    return shape if shape in fitting else ""
