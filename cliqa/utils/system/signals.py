"""Signals that ask a process to stop, and what is done about them for a while."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


def ending_signals() -> list[int]:
    """Return those that ask this process to end: SIGTERM, SIGINT, and SIGHUP unless it is ignored.

    Ctrl-C sends SIGINT, clusters and service managers send SIGTERM. A terminal that closes sends
    SIGHUP; ``nohup`` has it ignored, so that what runs goes on.
    """
    found: list[int] = [signal.SIGTERM, signal.SIGINT]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        found.append(hang_up)
    return found


@contextlib.contextmanager
def on_stop(act: Callable[[int], None]) -> Iterator[None]:
    """Call a function at each of the `ending_signals` inside the block, in place of ending by it.

    Outside the main thread, where signals cannot be handled, nothing changes.

    Args:
        act: Takes the signal's number; what it raises is raised in the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, _: FrameType | None) -> None:
        act(number)

    before = {number: signal.signal(number, handler) for number in ending_signals()}
    try:
        yield
    finally:
        for number, earlier in before.items():  # None is a handler of another language's
            signal.signal(number, signal.SIG_DFL if earlier is None else earlier)
