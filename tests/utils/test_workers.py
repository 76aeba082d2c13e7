"""Tests of cliqa.utils.workers."""

from __future__ import annotations

import os
from typing import Any

import pytest

from cliqa.utils.errors import ConfigError
from cliqa.utils.workers import check_workers, most_workers


def test_there_are_eight_for_each_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert most_workers() == 64
    monkeypatch.setattr(os, "cpu_count", lambda: 32)
    assert most_workers() == 256
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert most_workers() == 64


@pytest.mark.parametrize("value", [0, 1, 64])
def test_good_numbers(value: int) -> None:
    check_workers(value, "num_workers")


@pytest.mark.parametrize("value", [-1, 100000, 1e30, 1.0, True, "4", None])
def test_bad_numbers_are_refused(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    message = r"num_workers: expected an integer from 0 to 64 \(this machine has 4 CPUs\), got "
    with pytest.raises(ConfigError, match=message):
        check_workers(value, "num_workers")
