"""Which data set a folder holds: each reader knows its own files."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cliqa.datasets.image_listing import find_path, is_hidden, is_image, list_folders
from cliqa.datasets.own.guess import guess_section
from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS, build_component
from cliqa.utils.errors import CliqaError, ConfigError, DatasetError
from cliqa.utils.paths import home_path

UNLABELLED = {"pristine_images": "Waterloo Exploration", "ref_imgs": "KADIS-700k"}
"""Folders of photographs without scores, by their names in the release, and whose they are."""

SHEETS = (".csv", ".tsv", ".txt", ".xlsx", ".json", ".parquet")
"""Suffixes of files that may hold a user's own scores."""

_TRIED = 20


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        root: The folder.
        section: The data set's section of a config; empty where nothing was recognised.
        data: The data set, without the images that have no file; None where it cannot be read.
        others: Other readers that could read the folder.
        notes: What the readers logged, and what is to be known of an unknown folder.
        mistakes: Why it cannot be read.
    """

    root: Path
    section: dict[str, Any] = field(default_factory=dict)
    data: LabelledFolder | None = None
    others: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)


def readers() -> dict[str, type[LabelledFolder]]:
    """Return the readers of published data sets by their registered names."""
    found = {name: DATASETS.get(name) for name in DATASETS.names()}
    return {
        name: reader
        for name, reader in found.items()
        if isinstance(reader, type)
        and issubclass(reader, LabelledFolder)
        and reader.label_files
        and reader.__name__ == name
    }


def recognise(root: Path) -> list[str]:
    """Return the readers whose label file is in a folder."""
    return [
        name
        for name, reader in readers().items()
        if any(reader.is_label_file(find_path(root / file)) for file in reader.label_files)
    ]


def find_sets(root: str | Path, options: Mapping[str, Any] | None = None) -> list[Found]:
    """Return what a folder holds, as `find_set`; of a folder of data sets, what each of them holds.

    Raises:
        DatasetError: There is no such folder.
    """
    place = find_path(home_path(root))
    if place.is_dir() and not (options or {}).get("type") and not recognise(place):
        inside = [place / name for name in list_folders(place) if recognise(place / name)]
        if inside:
            return [find_set(folder, options) for folder in inside]
    return [find_set(root, options)]


def find_set(root: str | Path, options: Mapping[str, Any] | None = None) -> Found:
    """Return which data set a folder holds.

    Where several readers fit, that one counts that finds most images, then the one of whose
    official number the folder's is nearest.

    Args:
        root: The folder.
        options: A section of a config: its type and further arguments, which are taken as they are.

    Raises:
        DatasetError: There is no such folder.
    """
    root = find_path(home_path(root)).absolute()
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder. Give the folder of a data set.")
    options = dict(options or {})
    named = options.pop("type", None)
    kinds = [named] if named else recognise(root)
    tried = [_read(root, {"type": kind, **options}) for kind in kinds]
    read = sorted((one for one in tried if one.data is not None), key=_fit)
    if read:
        best = read[0]
        best.others = tuple(str(one.section["type"]) for one in read[1:])
        return best
    if not tried:
        return _unknown(root, options)
    lines = [f"as {one.section['type']}: {line}" for one in tried for line in one.mistakes]
    return Found(root, tried[0].section, mistakes=lines if len(tried) > 1 else tried[0].mistakes)


def _read(root: Path, section: dict[str, Any]) -> Found:
    """Return a folder as one reader sees it."""
    found = Found(root, section)
    with noted_warnings() as notes:
        try:
            own = {**section, "root": str(root), "missing": "skip"}
            data = build_component(DATASETS, own, str(root))
            if not isinstance(data, LabelledFolder):
                raise ConfigError(f"type={section['type']}: no reader of a folder with scores.")
            found.data = data
        except CliqaError as error:
            found.mistakes = str(error).splitlines()
    found.notes = [text for text in notes if " are missing: " not in text]
    return found


def _fit(found: Found) -> tuple[float, float]:
    """Return how badly a folder fits a reader: absent images, then the distance of its number."""
    data = found.data
    if data is None:
        return 1.0, 1.0
    labelled = len(data) + len(data.absent)
    official = data.official_count or 0
    return len(data.absent) / labelled, abs(official - labelled) / max(official, labelled)


def _unknown(root: Path, options: Mapping[str, Any]) -> Found:
    """Return what a folder without any known label file holds."""
    found = Found(root)
    files = sorted(p for p in root.iterdir() if p.is_file() and not is_hidden(p.name))
    folders = list_folders(root)
    suffixes = Counter(path.suffix.lower() or "no suffix" for path in files)
    listed = [f"{count} {suffix}" for suffix, count in suffixes.most_common(8)]
    listed += [f"{name}/" for name in folders[:8]] + (["..."] if len(folders) > 8 else [])
    found.notes.append(f"holds {', '.join(listed) or 'nothing'}")
    for name in folders:
        if name in UNLABELLED:
            found.notes.append(
                f"{name}/ looks like {UNLABELLED[name]}: photographs without scores, for "
                f"pretraining: pretrain.data.root={root / name}"
            )
        inside = recognise(root / name)
        if inside:
            found.notes.append(f"{name}/ looks like {' or '.join(inside)}: give this folder.")
            found.mistakes = ["no data set itself, but a folder of data sets."]
    if found.mistakes:
        return found
    sheets = [path for path in files if path.suffix.lower() in SHEETS][:_TRIED]
    for path in sheets:
        _try_sheet(found, path, options)
        if found.data is not None:
            return found
    if not sheets:
        found.mistakes.append(
            "no label file of a known data set, and no csv, xlsx, json or parquet file. The "
            "generic reader needs one with a column of image names and a column of scores."
        )
    elif any(is_image(path.name) for path in files) or folders:
        found.mistakes.insert(0, "no label file of a known data set.")
    return found


def _try_sheet(found: Found, path: Path, options: Mapping[str, Any]) -> None:
    """Read a file of a user's own scores, or note what it leaves open."""
    try:
        guess = guess_section(path, options, 0)
    except CliqaError as error:
        found.mistakes += str(error).splitlines()
        return
    if guess.mistakes.lines:
        found.mistakes += [
            line.replace("--cfg-options scenario.datasets.0.", "--option ").replace(
                "scenario.datasets.0.", ""
            )
            for line in guess.mistakes.lines
        ]
        return
    own = _read(found.root, guess.section)
    if own.data is None:
        found.mistakes += own.mistakes
        return
    found.section, found.data, found.mistakes = own.section, own.data, []
    found.notes += [*guess.lines, *own.notes]


@contextlib.contextmanager
def noted_warnings() -> Iterator[list[str]]:
    """Collect what the data sets log as warnings, in place of showing it."""
    texts: list[str] = []

    class _Note(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    owner, handler = logging.getLogger("cliqa.datasets"), _Note(logging.WARNING)
    before = owner.propagate
    owner.propagate = False
    owner.addHandler(handler)
    try:
        yield texts
    finally:
        owner.propagate = before
        owner.removeHandler(handler)


def config_text(section: Mapping[str, Any], root: str | Path) -> str:
    """Return a data set's section as a line of a config.

    >>> config_text({"type": "SPAQ", "score_range": (0, 10)}, "spaq")
    'dict(type="SPAQ", root="spaq", score_range=(0, 10))'
    """
    pairs = {"type": section["type"], "root": str(root), **section}
    return f"dict({', '.join(f'{key}={_shown(value)}' for key, value in pairs.items())})"


def _shown(value: object) -> str:
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return repr(value)


def scenario_text(sets: Sequence[Found]) -> str:
    """Return the lines of a config over data sets, in their order; empty for none."""
    lines = [config_text(one.section, one.root) for one in sets if one.data is not None]
    if not lines:
        return ""
    inside = "\n".join(f"        {line}," for line in lines)
    return f"scenario = dict(\n    datasets=[\n{inside}\n    ],\n)"
