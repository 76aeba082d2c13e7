"""What libraries take for granted about the process that they run in."""

from __future__ import annotations

import atexit
import contextlib
import getpass
import os
import shutil
import tempfile
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

OPEN_FILES = 65536
"""Open files are plenty from here on."""


def prepare_process() -> None:
    """Give the process a user and a home, and as many open files as the system lets it have."""
    _allow_open_files()
    _name_user()
    _make_home()


def _allow_open_files() -> None:
    """Raise the limit of open files: every tensor that a worker process sends takes one."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _name_user() -> None:
    """Name a user whom the system does not know, as in a container with a number for a user."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["USER"] = f"user{os.getuid()}"


def _make_home() -> None:
    """Give a process without a home folder one of its own, for the libraries' caches."""
    try:
        Path.home()
    except RuntimeError:
        home = tempfile.mkdtemp(prefix="home-")
        os.environ["HOME"] = home
        atexit.register(_remove, home, os.getpid())


def _remove(home: str, process: int) -> None:
    """Remove a home when the process ends that made it; forked ones leave it."""
    if os.getpid() == process:
        shutil.rmtree(home, ignore_errors=True)
