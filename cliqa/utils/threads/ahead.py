"""Work that is done ahead by threads, with its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from cliqa.utils.device import usable_cpus

A = TypeVar("A")
B = TypeVar("B")

MOST = 8
"""Threads at most without being asked: then reading is no longer what takes the time."""

WAITING = 4
"""Results and calls of each thread that may wait."""


def default_threads(items: int) -> int:
    """Return how many threads read images: one a usable CPU, 8 at most; 0 for a few images."""
    if items < 8:
        return 0
    return min(MOST, usable_cpus())


def ahead(function: Callable[[A], B], items: Iterable[A], threads: int) -> Iterator[B]:
    """Yield the function's results in order, while threads work on the next items.

    Args:
        function: It must let go of Python's lock to gain anything, as decoders of images do.
        items: Its arguments.
        threads: 0 calls it here. Four results and calls may wait for each, so that few large
            images are in memory.

    >>> list(ahead(str, range(5), 2))
    ['0', '1', '2', '3', '4']
    """
    if threads < 1:
        yield from map(function, items)
        return
    remaining = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            waiting.extend(
                pool.submit(function, item) for item in islice(remaining, WAITING * threads)
            )
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(function, item) for item in islice(remaining, 1))
        finally:
            for future in waiting:
                future.cancel()
