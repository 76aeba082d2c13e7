"""The process of a job: how it is started, recognized and ended.

It leads a session of its own, so that Ctrl-C of the server does not reach it, and holds the job's
lock as long as it lives.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cliqa.utils.locks import AVAILABLE
from cliqa.utils.system.python_process import python_command, with_package


def opened_at_end(path: Path) -> BinaryIO:
    """Open a file to write at its end.

    Raises:
        OSError: It cannot be written, or is no file.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return open(path, "ab")


def launched(arguments: Sequence[str], log: BinaryIO, held: BinaryIO) -> subprocess.Popen[bytes]:
    """Start Python in a session of its own.

    Args:
        arguments: What it is given.
        log: The file that takes its output.
        held: A locked file, whose lock it takes over.

    Raises:
        OSError: The system has no room for it.
    """
    return subprocess.Popen(
        python_command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=with_package(os.environ),
        start_new_session=True,
        pass_fds=(held.fileno(),) if AVAILABLE else (),
    )


def may_be(number: int | None) -> bool:
    """Return whether a number may be that of a process that `launched` started.

    Systems use numbers again: another process seldom leads a session. One that has ended counts,
    for its helpers may live.
    """
    if number is None:
        return False
    try:
        return not hasattr(os, "getsid") or os.getsid(number) == number
    except ProcessLookupError:
        return True
    except OSError:
        return False


def end_process(number: int, kill: bool) -> None:
    """Ask a process to end, or kill it with its helpers, which hold its lock too."""
    with contextlib.suppress(ProcessLookupError):
        if not kill:
            os.kill(number, signal.SIGTERM)
        elif hasattr(os, "killpg"):
            os.killpg(number, signal.SIGKILL)
        else:
            os.kill(number, signal.SIGTERM)  # Windows has no other
