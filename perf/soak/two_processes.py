"""Runs of two processes, which are killed together or one alone."""

from __future__ import annotations

import os
import random
import signal
from functools import partial
from pathlib import Path

from perf.processes import free_port, start_joined, variables
from perf.soak.trial import Work


def in_two(work: Work) -> Work:
    """Return what does something in two processes that are joined, as ``torchrun`` does.

    SIGTERM kills one of them, chance says which; the other has to end by itself.
    """

    def both(folder: Path) -> None:
        port, children = free_port(), list[int]()
        signal.signal(signal.SIGTERM, lambda *_: os.kill(random.choice(children), signal.SIGKILL))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        for rank in range(2):
            children.append(start_joined(variables(rank, 2, port), partial(work, folder)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        if any(statuses):
            raise KeyboardInterrupt

    return both
