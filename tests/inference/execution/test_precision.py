"""Number types of a network's passes, and what must be there for them."""

from __future__ import annotations

import logging

import pytest
import torch

from cliqa.inference.execution import precision
from cliqa.inference.execution.precision import (
    FLOAT32,
    Execution,
    asked_execution,
)
from cliqa.utils.errors import ConfigError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("asked", "device", "fast", "found"),
    [
        ("float32", CPU, True, "float32"),
        ("auto", CPU, True, "bfloat16"),
        ("auto", CPU, False, "float32"),
        ("auto", CUDA, False, "bfloat16"),
        ("bfloat16", CPU, True, "bfloat16"),
        ("float16", CUDA, False, "float16"),
    ],
)
def test_the_device_decides(
    monkeypatch: pytest.MonkeyPatch, asked: str, device: torch.device, fast: bool, found: str
) -> None:
    monkeypatch.setattr(precision, "bfloat16_is_fast", lambda: fast)
    assert Execution(asked).precision_on(device) == found
    assert Execution(asked).to_row(device) == {"precision": found, "compiled": False}


def test_slow_or_unknown_types_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ConfigError, match=r"--precision int8: unknown. Use float32, bfloat16"):
        Execution("int8")
    with pytest.raises(ConfigError, match=r"--precision float16: slow on the device 'cpu'"):
        Execution("float16").precision_on(CPU)
    monkeypatch.setattr(precision, "bfloat16_is_fast", lambda: False)
    with caplog.at_level(logging.WARNING):
        Execution("bfloat16").precision_on(CPU)
    assert "has no bfloat16 instructions" in caplog.text


def test_an_exported_file_has_its_own() -> None:
    FLOAT32.check_file("m.onnx")
    Execution("auto").check_file("m.onnx")
    with pytest.raises(ConfigError, match=r"--precision bfloat16: m\.onnx has the precision"):
        Execution("bfloat16").check_file("m.onnx")
    with pytest.raises(ConfigError, match=r"--compile: m\.onnx is compiled by its own backend"):
        Execution(compiled=True).check_file("m.onnx")


def test_nothing_asked_is_nothing_changed() -> None:
    assert asked_execution(None, compiled=False) is None
    assert asked_execution(None, compiled=True) == Execution("float32", compiled=True)
    assert asked_execution("auto", compiled=False) == Execution("auto")
