"""Which layers can lose channels, and what a head's inputs are."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.deploy.pruning.prunable import (
    ProbeHead,
    fixed_layers,
    has_probe,
    head_tensors,
    hidden_layers,
)
from cliqa.models.build import build_model
from cliqa.models.heads.cosine import CosineClsHead, CosineScoreHead
from cliqa.models.heads.linear import LinearScoreHead
from cliqa.models.heads.prototype import PrototypeHead


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (LinearScoreHead(12), ["fc.weight"]),
        (CosineScoreHead(12, 12), ["projection.weight"]),
        (CosineClsHead(3, 12), ["weight"]),
        (PrototypeHead(3, 12), ["sums"]),
    ],
)
def test_the_inputs_of_a_head_are_found(head: nn.Module, names: list[str]) -> None:
    assert head_tensors(head, 12) == names


def test_a_probe_weighs_features_as_the_head_does() -> None:
    head = CosineClsHead(3, 4)
    probe = ProbeHead(head)
    torch.testing.assert_close(probe.fc.weight[0], head.weight.norm(dim=0).detach())
    features = torch.rand(2, 4)
    assert torch.equal(probe((torch.zeros(2, 9), features)), probe(features))


def test_a_probe_stands_for_heads_that_say_what_they_take() -> None:
    class Plain(nn.Module):
        """A network whose head is a plain layer."""

        def __init__(self, head: nn.Module) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)
            self.head = head

    assert has_probe(Plain(LinearScoreHead(4)))
    assert not has_probe(Plain(nn.Linear(4, 1)))
    assert not has_probe(nn.Linear(4, 1))
    assert fixed_layers(Plain(nn.Linear(4, 1))) == {"head"}
    assert fixed_layers(Plain(nn.Linear(4, 1)), ["conv"]) == {"conv", "head"}


def test_a_transformer_keeps_all_but_its_hidden_units() -> None:
    backbone: dict[str, Any] = {"type": "TorchvisionBackbone", "arch": "vit_b_16"}
    model = build_model(
        {
            "type": "QualityModel",
            "backbone": {**backbone, "nodes": ["encoder"]},
            "head": {"type": "LinearScoreHead", "in_channels": 768},
        }
    )
    hidden = hidden_layers(model)
    assert len(hidden) == 12
    assert all(name.endswith("mlp.0") for name in hidden)
    layers = {n for n, m in model.named_modules() if isinstance(m, (nn.Linear, nn.Conv2d))}
    assert fixed_layers(model) == layers - hidden
    assert hidden_layers(nn.Sequential(nn.Linear(2, 2))) == set()
