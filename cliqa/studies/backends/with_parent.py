"""Replace this process by a program that the kernel kills when its parent ends.

``python with_parent.py PARENT PROGRAM ARGUMENTS...``: a run must not outlive who started it, or the
next attempt and it would write one work_dir. Systems other than Linux cannot promise that; there
the lock of the work_dir keeps the next attempt waiting. It is run as a file: nothing is imported.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of ``prctl``: the signal that a process gets when its parent ends; it survives ``exec``."""


def main(parent: int, command: list[str]) -> None:
    """Become a command that ends with a parent, which may have ended already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(f"error: process {parent}, which started this run, has ended")
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # Ray's processes keep SIGINT away
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
