"""One process tells of a fault, the first one that sees it."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from cliqa.utils.processes import faults, group
from tests.processes import in_processes, variables


@pytest.fixture
def started_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Return a function that sets what ``torchrun`` sets."""

    def set_all(rank: int, count: int) -> None:
        for name, value in variables(rank, count, 1).items():
            monkeypatch.setenv(name, value)

    return set_all


def test_a_single_process_speaks_of_its_own() -> None:
    assert faults.may_speak()
    assert faults.lost_process(RuntimeError("gloo: Connection closed")) is None


def test_the_first_that_fails_speaks() -> None:
    assert sorted(in_processes(3, faults.may_speak)) == [False, False, True]


def test_the_first_that_fails_speaks_before_they_have_joined() -> None:
    def work() -> tuple[bool, bool]:
        store, group._group.store = group._group.store, None
        alone = faults.may_speak()
        os.environ["TORCHELASTIC_USE_AGENT_STORE"] = "True"  # it is the main process's, in fact
        found = faults.may_speak()
        group._group.store = store
        group.from_all(None)  # until then the store is there
        return alone, found

    found = in_processes(2, work)
    assert [part[0] for part in found] == [True, False]  # by the number on the machine
    assert sorted(part[1] for part in found) == [False, True]


def test_a_connection_that_broke_is_told_in_words(started_as: Callable[..., None]) -> None:
    started_as(0, 2)
    broken = RuntimeError("[../gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    assert "another process of the run has stopped" in str(faults.lost_process(broken))
    assert faults.lost_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert faults.lost_process(ValueError("gloo")) is None
