"""Standard output and standard error, whatever the shell has made of them."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import TextIO

CLOSED = "standard output is closed, so there is nowhere to print to. Name a file, or leave it open"


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that the shell has closed (``>&-``).

    Attributes:
        lost: Something was printed.
    """

    lost = False

    def write(self, text: str) -> int:
        """Note that a text is lost."""
        self.lost = self.lost or bool(text.strip())
        return len(text)

    def writable(self) -> bool:
        """Return True: whoever prints need not know."""
        return True


def prepare_console() -> None:
    """Make standard output and error take any text.

    A character that they cannot hold, as in a name of another alphabet on a Windows console or in
    bytes that are no UTF-8, is shown as an escape. Closed ones get a stand-in, and their numbers
    are taken: the next file to be opened would get them, and with it what libraries print.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = ClosedOutput()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  open to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Throw away what standard output still holds where it cannot be written.

    Python flushes once more when it ends, and would complain.
    """
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def reader_has_gone() -> bool:
    """Return whether standard output or error is a pipe that nobody reads any more.

    True, too, where that cannot be found out.
    """
    if not hasattr(select, "poll"):
        return True
    return any(_is_broken(stream) for stream in (sys.stdout, sys.stderr))


def _is_broken(stream: TextIO) -> bool:
    """Return whether a stream leads into a pipe without a reader, or cannot be asked."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # no file of the system's
        return True


def print_error(line: str) -> None:
    """Write a line to standard error, if there still is one."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"{line}\n")
