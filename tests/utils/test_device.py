"""Tests of cliqa.utils.device."""

from __future__ import annotations

import pytest
import torch

from cliqa.utils.device import resolve_device
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
