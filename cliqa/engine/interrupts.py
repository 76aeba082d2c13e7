"""A polite end for a run that is asked to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

RESUME = "go on with --resume"


class Interrupted(KeyboardInterrupt):
    """A run was asked to stop by a signal; its message says how to go on.

    Args:
        signum: The signal; an entry point's exit status is 128 + `signum`.
        advice: What to do next.
    """

    def __init__(self, signum: int, advice: str = RESUME) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}; {advice}")
        self.signum = signum


@contextlib.contextmanager
def stop_on_signals(advice: str = RESUME) -> Iterator[None]:
    """Turn SIGTERM (and SIGINT) into `Interrupted` inside the block.

    Clusters send SIGTERM before they take a machine away; without this Python dies on the spot.
    Outside the main thread, where signals cannot be handled, nothing changes.

    Args:
        advice: What to do next, for the message.

    Raises:
        Interrupted: A signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, _: FrameType | None) -> None:
        raise Interrupted(signum, advice)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
