"""Paths as a user writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path


def home_path(path: str | os.PathLike[str]) -> Path:
    """Return a path whose ``~`` or ``~user`` at the start is that user's folder.

    A name that begins with ``~`` and is no user's stays as it is.
    """
    return Path(os.path.expanduser(path))


def name_after(path: str | os.PathLike[str]) -> str:
    """Return a name after a file's, of what names of other files may be made.

    >>> name_after("metas/koniq.csv"), name_after("scores (1).csv"), name_after("#2.csv")
    ('koniq', 'scores__1_', 'labels_2')
    """
    stem = re.sub(r"[^\w.+-]", "_", Path(path).stem)
    return stem if re.match(r"[A-Za-z0-9]", stem) else f"labels_{stem.lstrip('_.+-')}"
