"""Trying a network in training mode without a trace."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def unchanged(*networks: nn.Module) -> Iterator[None]:
    """Put back, at the end, what passes through networks in training mode change.

    That is: statistics and other buffers, gradients, modes, and the state of Python's, NumPy's and
    PyTorch's global generators (CUDA's too). Weights are not kept: only an optimizer changes those.

    Args:
        networks: The model, and a loss with a state of its own.
    """
    modules = [module for network in networks for module in network.modules()]
    modes = [module.training for module in modules]
    gradients = [(p, p.grad) for network in networks for p in network.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None  # one that is there would be added to
    buffers = [
        (module, name, buffer, buffer.detach().clone())
        for module in modules
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, buffer, value in buffers:
                buffer.copy_(value)
                module._buffers[name] = buffer
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
