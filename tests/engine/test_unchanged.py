"""What passes through a network in training mode leaves no trace."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from cliqa.engine.rehearsal import unchanged


class Restless(nn.Module):
    """A network that replaces one of its buffers, and draws from every generator."""

    seen: torch.Tensor
    hidden: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(4), spectral_norm(nn.Linear(4, 4)), nn.Dropout(0.5), nn.BatchNorm1d(4)
        )
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("hidden", torch.zeros(2), persistent=False)
        self.register_buffer("nothing", None)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.seen = self.seen + 1 + random.random() + np.random.rand()
        self.hidden += 1
        return self.layers(values)


def numbers() -> list[int]:
    """Return the state of numpy's generator."""
    state: Any = np.random.get_state()
    return list(map(int, state[1]))


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_changed(fails: bool) -> None:
    torch.manual_seed(0)
    model = Restless()
    model.layers[3].eval()
    model(torch.rand(8, 4)).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    expected = torch.get_rng_state(), random.getstate(), numbers()
    try:
        with unchanged(model):
            assert all(p.grad is None for p in model.parameters())
            model.train()
            model(torch.rand(8, 4)).sum().backward()
            assert not torch.equal(model.seen, buffers["seen"])
            if fails:
                raise ValueError("here")
    except ValueError:
        assert fails
    assert torch.equal(torch.get_rng_state(), expected[0])
    assert (random.getstate(), numbers()) == expected[1:]
    assert [module.training for module in model.layers] == [True, True, True, False]
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradients[name])
