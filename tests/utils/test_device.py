"""Tests of cliqa.utils.device."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from cliqa.utils.device import (
    check_workers,
    config_workers_mistake,
    most_workers,
    resolve_device,
)
from cliqa.utils.errors import ConfigError


@pytest.fixture
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make torch see the parametrised number of GPUs."""
    count: int = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    return count


@pytest.mark.parametrize(
    ("gpus", "name", "expected"),
    [
        (0, "auto", "cpu"),
        (2, "auto", "cuda:0"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda:0"),
        (2, "cuda:1", "cuda:1"),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_names(name: str, expected: str) -> None:
    assert resolve_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("gpus", "name", "message"),
    [
        (2, "gpu", "--device gpu: unknown device. Use auto, cpu, cuda or cuda:N."),
        (2, "cuda:-1", "unknown device"),
        (2, "cuda:1x", "unknown device"),
        (2, "", "unknown device"),
        (2, "cuda:2", r"has 2 GPU\(s\), cuda:0 to cuda:1. Use --device auto or cpu."),
        (0, "cuda", "this machine has no GPU for PyTorch. Use --device auto or cpu."),
    ],
    indirect=["gpus"],
)
@pytest.mark.usefixtures("gpus")
def test_refused_names(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_device(name)


@pytest.mark.gpu
def test_a_real_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    assert torch.zeros(1, device=resolve_device("auto")).is_cuda


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


@pytest.mark.parametrize("value", ["auto", 0, 64])
def test_a_config_may_leave_the_number_open(value: Any) -> None:
    assert config_workers_mistake(value) is None


def test_another_word_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    expected = "'auto' or an integer from 0 to 64 (this machine has 4 CPUs)"
    assert config_workers_mistake("many") == expected
