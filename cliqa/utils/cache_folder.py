"""The folder of files that can be made again: deleting it costs time alone."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "CLIQA_CACHE"
"""The environment variable that names the folder."""


def cache_folder() -> Path:
    """Return ``CLIQA_CACHE``, else ``$XDG_CACHE_HOME/cliqa``, else ``~/.cache/cliqa``.

    It need not exist. A variable that is empty does not count, and neither does a relative
    ``XDG_CACHE_HOME``, as its standard demands.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):
        return Path(shared) / "cliqa"
    return Path(os.path.expanduser("~")) / ".cache" / "cliqa"
