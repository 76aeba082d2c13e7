"""Locks on open files: they go with the process, however that ends."""

from __future__ import annotations

import os
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

AVAILABLE = fcntl is not None
"""Whether the system has such locks."""

_OF_PARENT_ALONE: set[IO[Any]] = set()
"""Files that this process holds locks on, and its children must not."""


def lock(file: int | IO[Any], *, wait: bool = False) -> bool | None:
    """Lock an open file until it is closed.

    Args:
        file: The file, or its descriptor.
        wait: Wait until another process lets it go.

    Returns:
        False if another process holds it; None where the system, or this file system, has no such
        locks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # a network file system that is mounted without locks
        return None
    return True


def keep_from_children(file: IO[Any]) -> None:
    """Have a forked child close its copy, or the lock would outlive a parent that was killed."""
    _OF_PARENT_ALONE.difference_update({one for one in _OF_PARENT_ALONE if one.closed})
    _OF_PARENT_ALONE.add(file)


def _leave_locks_to_the_parent() -> None:
    """Close a forked child's copies."""
    for file in _OF_PARENT_ALONE:
        file.close()
    _OF_PARENT_ALONE.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks_to_the_parent)
