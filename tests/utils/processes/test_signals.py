"""Which signals end a process."""

from __future__ import annotations

import signal

from cliqa.utils.processes.signals import ending_signals


def test_a_terminal_that_closes_ends_a_process_unless_nohup_has_been_asked_for() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert set(ending_signals()) == {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert set(ending_signals()) == {signal.SIGTERM, signal.SIGINT}
    finally:
        signal.signal(signal.SIGHUP, before)
