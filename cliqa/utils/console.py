"""The process of an entry point: its standard streams, user, home and limits."""

from __future__ import annotations

import atexit
import contextlib
import getpass
import io
import os
import select
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TextIO

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

CLOSED = "standard output is closed, so nothing can be printed. Name a file, or leave it open"
OPEN_FILES = 65536
"""The wanted limit of open files."""


class ClosedOutput(io.TextIOBase):
    """Replacement for a standard output that the shell has closed (``>&-``).

    Attributes:
        lost: Whether something was printed.
    """

    lost = False

    def write(self, text: str) -> int:
        """Note that text is lost."""
        self.lost = self.lost or bool(text.strip())
        return len(text)

    def writable(self) -> bool:
        """Return True, so that printing raises no error."""
        return True


def prepare_console() -> None:
    """Make standard output and error take any text.

    Characters that they cannot encode are shown as escapes. Closed streams are replaced and their
    descriptors reserved: otherwise the next opened file would receive what libraries print.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free descriptor
    if sys.stdout is None:
        sys.stdout = ClosedOutput()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  open to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Discard buffered output that cannot be written: Python would report it at exit."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def reader_has_gone() -> bool:
    """Return whether standard output or error is a pipe without a reader, or cannot be checked."""
    if not hasattr(select, "poll"):
        return True
    return any(_is_broken(stream) for stream in (sys.stdout, sys.stderr))


def _is_broken(stream: TextIO) -> bool:
    """Return whether a stream is a pipe without a reader, or cannot be checked."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # not a system file
        return True


def print_error(line: str) -> None:
    """Write a line to standard error, if it is still open."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")


def prepare_process() -> None:
    """Provide a user name, a home folder and a high limit of open files."""
    _allow_open_files()
    _set_user_name()
    _make_home()


def _allow_open_files() -> None:
    """Raise the limit of open files: every tensor that a worker process sends needs one."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _set_user_name() -> None:
    """Set a user name if the system has none, as in containers with a numeric user."""
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["USER"] = f"user{os.getuid()}"


def _make_home() -> None:
    """Create a temporary home folder if there is none that can be written to, for the libraries.

    Avalanche writes ``~/.avalanche`` when it is imported. The caches of a home folder that can
    only be read, as in a container, are still read.
    """
    with contextlib.suppress(RuntimeError):  # nobody's
        own = Path.home()
        if _can_write(own) or os.path.isfile(own / ".avalanche" / "config.json"):
            return
        if os.path.isdir(own / ".cache"):
            os.environ.setdefault("XDG_CACHE_HOME", str(own / ".cache"))
    home = tempfile.mkdtemp(prefix="home-")
    os.environ["HOME"] = home
    atexit.register(_remove, home, os.getpid())


def _can_write(folder: Path) -> bool:
    """Return whether a folder can be written to, or made."""
    while not os.path.exists(folder):  # Path's own raises where it may not look
        folder = folder.parent
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _remove(home: str, process: int) -> None:
    """Remove a home folder at the end of the process that made it, not of forked ones."""
    if os.getpid() == process:
        shutil.rmtree(home, ignore_errors=True)
