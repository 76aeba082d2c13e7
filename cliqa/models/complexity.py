"""What a model computes: its multiply-accumulates, by torch's counter, and by which layers."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from math import prod

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cliqa.utils.errors import ModelError

Shape = Sequence[int]


def count_macs(model: nn.Module, inputs: torch.Tensor) -> int:
    """Return the multiply-accumulates (MACs) of one forward pass.

    Convolutions and matrix products, attention's among them, count one MAC a multiplication; all
    else, such as normalisation, pooling, activations and sums, none. FLOPs, where a multiplication
    and an addition are two, are twice as many: what `torch.utils.flop_counter` counts.

    Args:
        model: The model; its training mode is not changed.
        inputs: One batch, on the model's device. The count is for the whole batch.

    Raises:
        ModelError: The model fails with these inputs.

    >>> count_macs(nn.Linear(10, 4, bias=False), torch.zeros(3, 10))
    120
    """
    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    counter = FlopCounterMode(display=False, custom_mapping={attention: _attention_flops})
    try:
        with _without_fused_layers(), torch.no_grad(), counter:
            model(inputs)
    except RuntimeError as error:
        raise ModelError(f"the model fails where its MACs are counted: {error}") from error
    return int(counter.get_total_flops()) // 2


def _attention_flops(query: Shape, key: Shape, value: Shape, *_: object, **__: object) -> int:
    """Return the FLOPs of attention on a CPU, which the counter knows on a GPU alone.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, V).
    """
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


@contextlib.contextmanager
def _without_fused_layers() -> Iterator[None]:
    """Disable torch's whole attention layer in one operator, which is not counted."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def is_convolutional(model: nn.Module) -> bool:
    """Return whether at least as many layers are two-dimensional convolutions as are linear.

    Such a model is faster with the channels last; a transformer with one convolution is not.

    >>> is_convolutional(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8, 1)))
    True
    """
    layers = list(model.modules())
    convolutions = sum(isinstance(layer, nn.Conv2d) for layer in layers)
    return convolutions >= max(1, sum(isinstance(layer, nn.Linear) for layer in layers))
