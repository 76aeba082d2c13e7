"""The signals that ask a process to end."""

from __future__ import annotations

import signal


def ending_signals() -> list[int]:
    """Return those that ask this process to end: SIGTERM, SIGINT, and SIGHUP unless it is ignored.

    A terminal that closes sends SIGHUP; ``nohup`` has it ignored, so that what runs goes on.
    """
    found: list[int] = [signal.SIGTERM, signal.SIGINT]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) != signal.SIG_IGN:
        found.append(hang_up)
    return found
