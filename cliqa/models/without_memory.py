"""Models without memory for their weights, to look at their shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch.overrides import TorchFunctionMode

T = TypeVar("T")

VALUES = (torch.linspace, torch.arange, torch.tensor)
"""Functions whose results constructors read, as rates of dropped paths and positions."""


class _Values(TorchFunctionMode):
    """Keep small tables of numbers on the CPU, where their values can be read."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        given = dict(kwargs or {})
        if func in VALUES:
            given.setdefault("device", "cpu")
        return func(*args, **given)


@contextmanager
def without_memory() -> Iterator[None]:
    """Create tensors on PyTorch's meta device within this context: they have shapes alone."""
    with torch.device("meta"), _Values():
        yield


def shape_first(build: Callable[[torch.device], T]) -> T:
    """Return what a function builds, without memory for weights if it can be built so.

    Args:
        build: Called with the device to build on: PyTorch's meta device, and the CPU if that
            fails, as constructors may need values. Errors of the CPU are real ones.
    """
    with torch.random.fork_rng(devices=[]):
        try:
            with without_memory():
                return build(torch.device("meta"))
        except Exception:  # noqa: BLE001  whatever it is, the CPU tells whether it is a mistake
            return build(torch.device("cpu"))
