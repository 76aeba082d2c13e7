"""Data sets named on the command line: ``KADID10k=/data/kadid10k``, ``scores.csv=/data/images``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.config.option_values import parse_value
from cliqa.config.trust import vouch
from cliqa.datasets.base import QualityDataset
from cliqa.registry import DATASETS, build_component
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import home_path

FILES = (".csv", ".json", ".xlsx")
"""Endings by which a score file is told from a type of data set."""


@dataclass(frozen=True)
class Scale:
    """The scale of the scores in a file.

    Attributes:
        low: The lowest score that is possible.
        high: The highest one.
        higher_is_better: The direction.
    """

    low: float
    high: float
    higher_is_better: bool = True


def is_new_data_set(text: str) -> bool:
    """Tell whether an argument describes a data set, rather than naming one of the config's."""
    return "=" in text


def parse_data_set(text: str, scale: Scale | None = None) -> QualityDataset:
    """Build the data set that a command line describes.

    Args:
        text: ``TYPE=ROOT``; ``FILE=ROOT`` with a csv, json or xlsx file of images below ROOT and
            their scores, all of which are measured unless a column tells their split; or as in a
            config: ``dict(type='ScoreFile', root=..., ...)``.
        scale: Of the scores in a file.

    Raises:
        ConfigError: The text, the type or an argument is wrong, or a file's scale is not known.
        DatasetError: The data set is wrong or missing.
    """
    where = f"--datasets {text}"
    if text.startswith(("dict(", "{")):
        return _build(parse_value(text, None, where))
    kind, _, root = text.partition("=")
    if not kind or not root:
        raise ConfigError(
            f"{where}: write TYPE=ROOT, e.g. KADID10k=/data/kadid10k, or FILE=ROOT, e.g. "
            "scores.csv=/data/images."
        )
    if Path(kind).suffix.lower() in FILES:
        return _build(_score_file(Path(kind), root, scale, where))
    return _build({"type": kind, "root": root})


def _score_file(path: Path, root: str, scale: Scale | None, where: str) -> dict[str, Any]:
    """Return the section of a file of scores."""
    if scale is None:
        raise ConfigError(
            f"{where}: the scale of its scores is not known. Add --score-range LOW HIGH (and "
            f"--lower-is-better for a DMOS), or write dict(type='ScoreFile', root='{root}', "
            f"labels='{path}', images='.', score_range=(LOW, HIGH), higher_is_better=True)."
        )
    return {
        "type": "ScoreFile",
        "root": root,
        "labels": str(home_path(path).resolve()),
        "images": ".",
        "score_range": (scale.low, scale.high),
        "higher_is_better": scale.higher_is_better,
        "fractions": (0.0, 0.0, 1.0),
    }


def _build(section: dict[str, Any]) -> QualityDataset:
    """Build a data set from its section."""
    vouch(section)  # the user has named it, not the file that is evaluated
    data: QualityDataset = build_component(DATASETS, section, "--datasets")
    return data
