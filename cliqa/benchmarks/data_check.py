"""A config's data sets, checked before anything slow is done: all that is wrong, in one error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cliqa.benchmarks.presets import PRESETS, preset
from cliqa.benchmarks.random_splits import KEYS, check_split, given_split, with_split
from cliqa.datasets.classes.cifar_files import CIFAR10, CIFAR100, check_files
from cliqa.datasets.classes.class_root import class_root
from cliqa.datasets.classes.fashion_files import fashion_folder
from cliqa.datasets.clear.layout import detect_layout
from cliqa.datasets.labels.layouts.layout import declared_scale
from cliqa.datasets.labels.layouts.parts import listed_files
from cliqa.datasets.own.examine import examine
from cliqa.datasets.photo_folder import find_photos
from cliqa.datasets.storage import MANIFEST
from cliqa.utils.errors import DatasetError
from cliqa.utils.logging import get_logger
from cliqa.utils.mistakes import Mistakes
from cliqa.utils.paths import check_output_folder, home_path

logger = get_logger(__name__)

CIFAR = {"SplitCIFAR10": CIFAR10, "SplitCIFAR100": CIFAR100}

UNSEEN = "evaluate_only"
"""The key of data sets that are tested on and never trained on: in every random split the same."""

COLUMNS = ("score_column", "std_column", "group_column", "split_column")

TYPES: dict[str, tuple[type, ...]] = {
    "labels": (str, list, tuple),
    "seed": (int,),
    "fractions": (list, tuple),
    "score_range": (list, tuple, type(None)),
    "higher_is_better": (bool, int, type(None)),
    **dict.fromkeys(("suffix", "missing", "on_bad_image"), (str,)),
    "image_column": (str, int),
    **dict.fromkeys((*COLUMNS, "split_key"), (str, int, type(None))),
    **dict.fromkeys(("images", "val_labels", "test_labels"), (str, list, tuple, type(None))),
    **dict.fromkeys(("name", "delimiter", "decimal", "layout", "split_file"), (str, type(None))),
    "header": (bool, type(None)),
    "columns": (list, tuple, type(None)),
    **dict.fromkeys(("split_names", "vote_columns"), (dict, type(None))),
}
"""What the options of a `ScoreFile` must be to be read here; others the full check refuses."""


def check_data(config: Mapping[str, Any], tell: bool = False) -> None:
    """Read the label files of a config's own data sets, and look for all data sets' folders.

    Of a `ScoreFile` everything is checked that does not need its pixels; of other data sets and of
    streams of classes the folder or the files' names, as reading them takes torch. What a config
    has downloaded need not be there; of what it has generated the photographs must, and the place.

    Args:
        config: A loaded config.
        tell: Log what the label files hold: images, splits, repeated rows.

    Raises:
        ConfigError: The scenario asks for all random splits at once, or has data generated where
            nothing can be written.
        DatasetError: With a line for every mistake in every data set.
    """
    scenario = config.get("scenario")
    if not isinstance(scenario, Mapping):
        return
    check_split(*(scenario.get(key) for key in KEYS))
    if scenario.get("generate") is not None:
        _check_generated(scenario)
        return
    _check_classes(scenario)
    mistakes, lines = Mistakes(), []
    split = scenario.get("split_index")
    for where, section in _sections(scenario):
        root = Path(section["root"])
        if section["type"] == "ScoreFile":
            with mistakes.noted():
                declared_scale(section)
            found = examine(section, root, copies=tell)
            mistakes.add(found.mistakes)
            drawn = found.drawn or where.startswith(f"scenario.{UNSEEN}")
            if isinstance(split, int) and found.table is not None and not drawn:
                mistakes.add([given_split(listed_files(section["labels"])[0])])
            file = Path(listed_files(section["labels"])[0]).name
            lines += [f"{file}: {line}" for line in found.lines(section.get("seed", 0))]
        elif not root.is_dir():
            mistakes.add(
                [
                    f"{where} '{section['type']}': no folder {root} (from {Path.cwd()}). Set "
                    "scenario.dataset_root='...' to the folder above it, or the data set's "
                    "root='...'."
                ]
            )
    mistakes.raise_as(DatasetError)
    for line in lines if tell else ():
        logger.info("%s", line)


def _check_classes(scenario: Mapping[str, Any]) -> None:
    """Look for the files of a stream of classes.

    Raises:
        DatasetError: They are missing, and the scenario does not download them.
    """
    name, root = scenario.get("type"), scenario.get("dataset_root")
    if not isinstance(root, str):
        return
    if name == "CLEAR":
        detect_layout(home_path(root))
    if name == "SplitFolder":
        class_root(root)
    if scenario.get("download"):
        return
    if name == "SplitFashionMNIST":
        fashion_folder(root)
    if name in CIFAR:
        check_files(CIFAR[name], root)


def _check_generated(scenario: Mapping[str, Any]) -> None:
    """Look for what data are generated from, and for a place for them.

    Raises:
        ConfigError: The place cannot be written to.
        DatasetError: There are too few photographs.
    """
    section, root = scenario["generate"], scenario.get("dataset_root")
    photos = section.get("photos") if isinstance(section, Mapping) else None
    if isinstance(photos, str):
        find_photos(photos)
    if isinstance(root, str) and not (home_path(root) / MANIFEST).is_file():
        check_output_folder(home_path(root), "scenario.dataset_root")


def _sections(scenario: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the data sets that can be checked here, with their places in the config."""
    listed, base = scenario.get("datasets"), scenario.get("dataset_root") or "."
    if isinstance(listed, str):
        listed = preset(listed) if listed in PRESETS else []
    if not isinstance(base, str):
        return
    for key, sections in (("datasets", listed), (UNSEEN, scenario.get(UNSEEN))):
        for index, section in enumerate(sections if isinstance(sections, (list, tuple)) else ()):
            if isinstance(section, Mapping) and _is_plain(section):
                root = str(home_path(base) / home_path(section["root"]))
                own = section if key == UNSEEN else with_split(section, scenario)
                yield f"scenario.{key}[{index}]", {**own, "root": root}


def _is_plain(section: Mapping[str, Any]) -> bool:
    """Return whether a section's options are of their types, as the full check will say again."""
    if not all(isinstance(section.get(key), str) for key in ("type", "root")):
        return False
    if section["type"] == "ScoreFile" and not section.get("labels"):
        return False
    known = {key: kinds for key, kinds in TYPES.items() if key in section}
    if not all(isinstance(section[key], kinds) for key, kinds in known.items()):
        return False
    listed = [section.get(key) for key in ("labels", "val_labels", "test_labels", "images")]
    return all(isinstance(name, str) for one in listed if one for name in one)
