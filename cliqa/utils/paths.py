"""Paths as a user writes them."""

from __future__ import annotations

import os
from pathlib import Path


def home_path(path: str | os.PathLike[str]) -> Path:
    """Return a path whose ``~`` or ``~user`` at the start is that user's folder.

    A name that begins with ``~`` and is no user's stays as it is.
    """
    return Path(os.path.expanduser(path))
