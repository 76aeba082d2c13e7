"""Signals inside a block, and after it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from cliqa.utils.system.signals import STOPS, on_stop


@pytest.mark.parametrize("number", STOPS)
def test_every_stop_is_told_and_earlier_handlers_come_back(number: int) -> None:
    told: list[int] = []
    before = [signal.getsignal(each) for each in STOPS]
    with on_stop(told.append):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert told == [number, number]
    assert [signal.getsignal(each) for each in STOPS] == before


def test_what_the_function_raises_ends_the_block() -> None:
    def refuse(number: int) -> None:
        raise ValueError(number)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="15"), on_stop(refuse):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_other_threads_handle_no_signals() -> None:
    found: list[object] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with on_stop(lambda _: None):
            found.append(signal.getsignal(signal.SIGTERM) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]
