"""The computational cost of a model: multiply-accumulates, counted on the traced graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn

from cliqa.utils.errors import ModelError


def count_macs(model: nn.Module, inputs: torch.Tensor) -> int:
    """Return the multiply-accumulates (MACs) of one forward pass.

    Convolutions and matrix products, attention's among them, count one MAC a multiplication;
    normalisation and pooling one per element; activations and sums none. FLOPs, where a
    multiplication and an addition are two, are twice as many.

    Args:
        model: The model; its training mode is not changed.
        inputs: One batch, on the model's device. The count is for the whole batch.

    Raises:
        ModelError: The model cannot be traced with these inputs.

    >>> count_macs(nn.Linear(10, 4, bias=False), torch.zeros(3, 10))
    120
    """
    analyzer = FlopAnalyzer(model, inputs)
    analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    analyzer.tracer_warnings("none")
    analyzer.set_op_handle("aten::scaled_dot_product_attention", _attention_macs)
    analyzer.set_op_handle("aten::baddbmm", _batched_product_macs)
    training = model.training
    try:
        with _quiet(), torch.no_grad():
            return int(analyzer.total())
    except RuntimeError as error:
        raise ModelError(f"the model cannot be traced to count its MACs: {error}") from error
    finally:
        model.train(training)


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Return the MACs of attention over queries (..., L, E), keys (..., S, E), values (..., S, V).

    The library does not count attention.
    """
    query, key, value = (_shape(inputs[index]) for index in range(3))
    places = prod(query[:-1]) * key[-2]  # heads x L x S
    return places * (query[-1] + value[-1])


def _batched_product_macs(inputs: list[Any], outputs: list[Any]) -> int:
    """Return the MACs of ``c + a @ b`` for a (B, n, m) and b (B, m, p)."""
    left, right = _shape(inputs[1]), _shape(inputs[2])
    return prod(left) * right[-1]


def _shape(value: torch._C.Value) -> list[int]:
    """Return the sizes of a tensor of a traced graph."""
    sizes: list[int] = value.type().sizes()  # type: ignore[attr-defined]
    return sizes


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress output of tracing, and disable torch's fused attention, which is not counted."""
    logger = logging.getLogger("mmengine")
    level, fused = logger.level, torch.backends.mha.get_fastpath_enabled()
    logger.setLevel(logging.ERROR)
    torch.backends.mha.set_fastpath_enabled(False)  # a whole layer in one operator, uncounted
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        torch.backends.mha.set_fastpath_enabled(fused)
