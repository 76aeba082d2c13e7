"""Signals that ask a process to stop, and what is done about them for a while."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

STOPS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what clusters and service managers send."""


@contextlib.contextmanager
def on_stop(act: Callable[[int], None]) -> Iterator[None]:
    """Call a function at each SIGINT and SIGTERM inside the block, in place of ending by it.

    Outside the main thread, where signals cannot be handled, nothing changes.

    Args:
        act: Takes the signal's number; what it raises is raised in the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _: FrameType | None) -> None:
        act(number)

    before = {number: signal.signal(number, handler) for number in STOPS}
    try:
        yield
    finally:
        for number, earlier in before.items():  # None is a handler of another language's
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)
