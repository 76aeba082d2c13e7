"""How many processes read a stream's images where that is left to us."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from cliqa.utils.device import AUTO_WORKERS, usable_cpus
from cliqa.utils.paths import evenly_spaced
from cliqa.utils.processes.group import on_this_machine

SMALL = 2**24
"""Bytes of files that one process reads in about a second, as long as it takes to start others."""

MOST = 8
"""Processes at most: then reading is no longer what takes the time."""


def workers_for(sources: Iterable[Sequence[str]], asked: int | str = AUTO_WORKERS) -> int:
    """Return how many worker processes read images.

    With ``"auto"`` one CPU is left to the training; several processes of a run share the machine's.
    Nothing else depends on the number: samples are the same with any.

    Args:
        sources: The image files of each data set; none of one whose samples are in memory.
        asked: A number, which is returned, or ``"auto"``.

    Returns:
        With ``"auto"`` 0 where the files of an epoch are few or small.
    """
    if asked != AUTO_WORKERS:
        return int(asked)
    largest = max((_bytes(files) for files in sources), default=0)
    return 0 if largest < SMALL else most_useful()


def most_useful() -> int:
    """Return how many worker processes read large data sets."""
    share = usable_cpus() // on_this_machine()
    return min(MOST, max(1, share - 1))


def _bytes(files: Sequence[str]) -> int:
    """Return an estimate of the bytes of files."""
    sizes = [os.stat(file).st_size for file in evenly_spaced(files) if os.path.isfile(file)]
    return len(files) * sum(sizes) // len(sizes) if sizes else 0
