"""What all generators share: numbers in range, and a folder that is written once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cliqa.datasets.storage import is_written, new_folder
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import home_path

logger = logging.getLogger(__name__)


def check_numbers(generator: object, least: Mapping[str, int]) -> None:
    """Check a generator's arguments that are whole numbers with a least value.

    Raises:
        ConfigError: One is not.
    """
    for name, low in least.items():
        value = getattr(generator, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            raise ConfigError(
                f"{type(generator).__name__}: {name} must be a whole number >= {low}, got "
                f"{value!r}."
            )


def write_once(
    root: str | Path, arguments: Mapping[str, Any], fill: Callable[[Path, str], int]
) -> None:
    """Write a data set into a folder, unless it is there already.

    The folder appears at once when all is written; a run that is stopped leaves none behind.

    Args:
        root: A new or an empty folder, or one that the same arguments have written.
        arguments: What decides the data, for the manifest.
        fill: Writes the data into a folder, under a title for progress bars, and returns how many
            images there are.

    Raises:
        DatasetError: The folder holds anything else, or cannot be written to.
    """
    root = home_path(root)
    if is_written(root, arguments):
        return
    with new_folder(root, arguments) as folder:
        count = fill(folder, str(root))
    logger.info("Wrote %d generated images to %s.", count, root)
