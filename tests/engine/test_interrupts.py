"""Signals become an exception inside the block, and only there."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from cliqa.engine.interrupts import Interrupted, stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_raised_with_its_name(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=number.name) as caught, stop_on_signals():
        os.kill(os.getpid(), number)
    assert caught.value.signum == number
    assert signal.getsignal(number) is before


def test_other_threads_are_left_alone() -> None:
    ran = []

    def work() -> None:
        with stop_on_signals():
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]
