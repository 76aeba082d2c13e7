"""Work that is done behind by a thread."""

from __future__ import annotations

import threading

import pytest

from cliqa.utils.threads.behind import Behind


def test_pieces_are_done_one_after_the_other() -> None:
    behind, done, gate = Behind(), list[int](), threading.Event()

    def slow() -> None:
        gate.wait(20)
        done.append(1)

    behind.do(slow)
    assert done == []  # it does not hold up the caller
    gate.set()
    behind.do(lambda: done.append(2))
    behind.wait()
    behind.wait()
    assert done == [1, 2]


def test_a_failure_comes_with_the_next_call_and_once() -> None:
    behind, done = Behind(), list[int]()

    def fails() -> None:
        raise OSError(28, "No space left on device", "last.pth")

    behind.do(fails)
    with pytest.raises(OSError, match="No space left on device: 'last.pth'"):
        behind.do(lambda: done.append(1))
    assert done == []
    behind.do(fails)
    with pytest.raises(OSError, match="No space left"):
        behind.wait()
    behind.wait()
