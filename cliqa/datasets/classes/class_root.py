"""The folder of a user's labelled images, looked for before anything slow is imported."""

from __future__ import annotations

from pathlib import Path

from cliqa.datasets.image_listing import find_path
from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import home_path


def class_root(root: str | Path) -> Path:
    """Return the folder that holds one folder per class; ``~`` is resolved.

    Raises:
        DatasetError: There is no such folder.
    """
    path = find_path(home_path(root))
    if not path.is_dir():
        raise DatasetError(
            f"{path}: no such folder (from {Path.cwd()}). Set scenario.dataset_root to the folder "
            "that holds one folder per class."
        )
    return path
