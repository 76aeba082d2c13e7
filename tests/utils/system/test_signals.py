"""Signals inside a block, and after it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from cliqa.utils.system.signals import ending_signals, on_stop


@pytest.fixture(autouse=True)
def _no_nohup() -> Iterator[None]:
    """Run as a terminal starts programs, however the tests were started."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_stop_is_told_and_earlier_handlers_come_back(number: int) -> None:
    told: list[int] = []
    before = [signal.getsignal(each) for each in ending_signals()]
    with on_stop(told.append):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert told == [number, number]
    assert [signal.getsignal(each) for each in ending_signals()] == before


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


def test_a_terminal_that_closes_ends_a_process_unless_nohup_has_been_asked_for() -> None:
    assert set(ending_signals()) == {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert set(ending_signals()) == {signal.SIGTERM, signal.SIGINT}
