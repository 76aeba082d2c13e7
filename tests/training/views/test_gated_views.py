"""All views of a model with their gate as one network."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.lora.adapters import inject, lora_layers
from cliqa.training.views.gate import DomainGate
from cliqa.training.views.gated_views import GatedViews, share_equal
from cliqa.utils.errors import ModelError


class Net(nn.Module):
    """Features by a convolution, and scores or logits of them."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 1)
        self.head = nn.Linear(4, outputs)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images).mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.head(self.features(images))
        return found[:, 0] if found.shape[1] == 1 else found


def made(outputs: int = 1) -> tuple[list[Net], DomainGate, torch.Tensor]:
    """Return two views of other heads, a gate over another body, and images."""
    torch.manual_seed(0)
    first = Net(outputs)
    second = copy.deepcopy(first)
    nn.init.normal_(second.head.weight)
    gate = DomainGate(temperature=4.0)
    gate.keep(Net())
    gate.centroids = [torch.randn(3, 4), torch.randn(2, 4)]
    return [first, second], gate, torch.randn(6, 3, 5, 5)


@pytest.mark.parametrize("outputs", [1, 7])
def test_outputs_are_weighted_by_the_gate(outputs: int) -> None:
    views, gate, images = made(outputs)
    weights = gate.weights(images)
    first, second = (view(images).reshape(6, -1) for view in copy.deepcopy(views))
    expected = (weights[:, :1] * first + weights[:, 1:] * second).squeeze(1)
    network = GatedViews(views, gate)
    torch.testing.assert_close(network(images), expected)
    torch.testing.assert_close(network.weights(images), weights)


def test_equal_parameters_are_kept_once() -> None:
    views, gate, _ = made()
    network: Any = GatedViews(views, gate)
    assert network.views[1].body.weight is network.views[0].body.weight
    assert network.views[1].head.weight is not network.views[0].head.weight
    assert network.views[1].head.bias is network.views[0].head.bias
    assert network.look.body.weight is not network.views[0].body.weight
    # the shared body and bias, two heads, and the gate's own network
    assert sum(p.numel() for p in network.parameters()) == 16 + 1 + 4 + 4 + (16 + 5)
    alone: Any = nn.Linear(2, 2)
    share_equal([alone])  # one network has nobody to share with
    assert alone.weight.shape == (2, 2)


def test_adapters_are_merged_and_the_gate_stays_as_it_is() -> None:
    views, gate, images = made()
    for view in views:
        for layer in inject(view, "conv", rank=2).values():
            nn.init.normal_(layer.lora_B)
    before = gate.weights(images)
    expected = [view(images) for view in views]
    network = GatedViews(views, gate)
    assert not lora_layers(network)
    for merged, wanted in zip(network.views, expected, strict=True):
        torch.testing.assert_close(merged(images), wanted)
    assert torch.equal(gate.weights(images), before)


def test_a_gate_without_a_network_is_told() -> None:
    with pytest.raises(ModelError, match=r"the gate has no network yet\. Call keep\(model\) first"):
        GatedViews([Net()], DomainGate())
