"""A process that OpenVINO has worked in survives its next signal."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from cliqa.deploy.openvino.backend import openvino_forward, read_openvino
from cliqa.deploy.openvino.signal_stack import SignalStack, kept_signal_stack

pytest.importorskip("openvino")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux's signal stacks")


def current() -> tuple[int | None, int]:
    """Return the address and the size of this thread's alternate signal stack."""
    found = SignalStack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.address, found.size


def test_models_that_end_in_their_order_leave_a_stack_that_is_there(onnx_folder: Path) -> None:
    def work() -> int:
        before = current()
        images = torch.randn(2, 3, 16, 16)
        model = read_openvino(onnx_folder / "linear.onnx")
        forwards = [openvino_forward(model, threads=1) for _ in range(2)]
        for forward in forwards:
            forward(images)
        while forwards:
            del forwards[0]
            gc.collect()
        told: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, _: told.append(number))
        os.kill(os.getpid(), signal.SIGUSR1)
        return 0 if told and current() == before else 1

    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = work()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_changes_the_stack_is_undone() -> None:
    memory = ctypes.create_string_buffer(2**16)
    other = SignalStack(ctypes.addressof(memory), 0, len(memory))
    before = current()
    with kept_signal_stack():
        ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None)
        assert current() == (other.address, other.size)
    assert current() == before
