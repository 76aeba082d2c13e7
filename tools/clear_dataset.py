"""Make and prepare CLEAR data sets: ``python tools/clear_dataset.py COMMAND --help``.

The functions can be imported: ``from tools.clear_dataset import get_fewshot_indices``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.commands.data.clear_dataset import main
from cliqa.utils.cli import run_entry_point

if TYPE_CHECKING:
    from cliqa.datasets.clear.create import create_dataset as create_dataset
    from cliqa.datasets.clear.fewshot import get_fewshot_indices as get_fewshot_indices
    from cliqa.datasets.clear.from_folder import from_folder as from_folder
    from cliqa.datasets.clear.prepare import prepare as prepare
    from cliqa.inference.features import get_pretrained_features as get_pretrained_features

_HOMES = {
    "create_dataset": "cliqa.datasets.clear.create",
    "from_folder": "cliqa.datasets.clear.from_folder",
    "get_fewshot_indices": "cliqa.datasets.clear.fewshot",
    "get_pretrained_features": "cliqa.inference.features",
    "prepare": "cliqa.datasets.clear.prepare",
}
"""The modules of the functions, which are imported when they are used: ``--help`` is fast."""


def __getattr__(name: str) -> object:
    """Import a function of the package."""
    if name not in _HOMES:
        raise AttributeError(f"{__file__} has no '{name}'. It has {', '.join(_HOMES)}.")
    return getattr(__import__(_HOMES[name], fromlist=[name]), name)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
