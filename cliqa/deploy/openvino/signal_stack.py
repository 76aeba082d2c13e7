"""Keeps the stack on which a thread handles signals, which OpenVINO leaves as a freed one.

Each ``openvino.Core`` that loads the CPU plugin gives its thread an alternate signal stack of its
own, and puts the one before back as it ends (OpenVINO 2026.4). Two that end in the order in which
they came leave the first one's, whose memory is gone: the next signal, Ctrl-C or the end of a
child, kills the process by a segmentation fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

DISABLED = 2
"""SS_DISABLE: there is no alternate stack, and signals use the thread's own."""


class SignalStack(ctypes.Structure):
    """C's ``stack_t`` on Linux."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("size", ctypes.c_size_t),
    )


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Give this thread its alternate signal stack back after the block; does nothing but on Linux.

    A ``Core`` that ends later finds another stack than its own in use, and leaves it alone.
    """
    if sys.platform != "linux":
        yield
        return
    change = ctypes.CDLL(None).sigaltstack
    before = SignalStack()
    change(None, ctypes.byref(before))
    try:
        yield
    finally:
        if not before.address:
            before.flags = DISABLED
        change(ctypes.byref(before), None)
