"""Data sets named on the command line: ``KADID10k=/data/kadid10k``."""

from __future__ import annotations

from typing import Any

from cliqa.datasets.base import QualityDataset
from cliqa.registry import DATASETS, build_component
from cliqa.utils.errors import ConfigError
from cliqa.utils.option_value import parse_value


def is_new_data_set(text: str) -> bool:
    """Tell whether an argument describes a data set, rather than naming one of the config's."""
    return "=" in text


def parse_data_set(text: str) -> QualityDataset:
    """Build the data set that a command line describes.

    Args:
        text: ``TYPE=ROOT``, or as in a config: ``dict(type='ScoreFile', root=..., ...)``.

    Raises:
        ConfigError: The text, the type or an argument is wrong.
        DatasetError: The data set is wrong or missing.
    """
    where = f"--datasets {text}"
    section: dict[str, Any]
    if text.startswith(("dict(", "{")):
        section = parse_value(text, None, where)
    else:
        kind, _, root = text.partition("=")
        if not kind or not root:
            raise ConfigError(f"{where}: write TYPE=ROOT, e.g. KADID10k=/data/kadid10k.")
        section = {"type": kind, "root": root}
    data: QualityDataset = build_component(DATASETS, section, "--datasets")
    return data
