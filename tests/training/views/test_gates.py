"""A config's gate is built as it is named, and a checkpoint keeps the one that it was made with."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.views.discriminant_gate import DiscriminantGate
from cliqa.training.views.gate import DomainGate
from cliqa.training.views.gates import build_gate
from cliqa.utils.errors import ConfigError


def test_the_default_is_linear_discriminant_analysis() -> None:
    gate = build_gate("PackNet", None)
    assert isinstance(gate, DiscriminantGate)
    assert gate.state_dict()["type"] == "lda"
    assert build_gate("PackNet", "qda").state_dict()["type"] == "qda"
    made: Any = build_gate("PackNet", {"name": "lda", "hard": True, "held": 0})
    assert (made.hard, made.held) == (True, 0)


def test_kmeans_is_the_published_gate() -> None:
    gate: Any = build_gate("PackNet", "kmeans")
    assert (gate.count, gate.temperature, gate.squared, gate.starts) == (128, 32.0, False, 20)


def test_arguments_of_earlier_versions_mean_their_gate() -> None:
    gate: Any = build_gate("PackNet", None, centroids=3)
    assert (type(gate), gate.count, gate.temperature, gate.squared) == (DomainGate, 3, 32.0, True)
    with pytest.raises(ConfigError, match=r"PackNet: centroids beside gate='lda'\. They are arg"):
        build_gate("PackNet", "lda", centroids=3)


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("ldaa", r"LoRA: gate must be one of 'lda', 'qda', 'kmeans', or dict.* Did you mean 'lda'"),
        ({"hard": True}, r"LoRA: gate must be one of"),
        (
            {"name": "lda", "centroids": 3},
            r"LoRA: gate 'lda' has no argument 'centroids'\. It",
        ),
        (
            {"name": "kmeans", "temprature": 3},
            r"no argument 'temprature'\. Did you mean 'tempe",
        ),
    ],
)
def test_what_is_no_gate(gate: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_gate("LoRA", gate)


def test_a_checkpoint_of_an_earlier_version_keeps_its_gate() -> None:
    old = DomainGate()
    old.keep(_Net())
    old.centroids = [torch.rand(2, 3), torch.rand(2, 3)]
    state = {k: v for k, v in old.state_dict().items() if k in ("centroids", "network")}
    plugin = PackNet(inference="gate")
    plugin.load_state_dict({"views": [], "owner": {}, "pruned": False, "gate": state})
    assert isinstance(plugin.gate, DomainGate)
    plugin.gate.keep(_Net())
    images = torch.rand(4, 3)
    assert torch.equal(plugin.gate.weights(images), old.weights(images))
    new = PackNet(inference="gate")
    new.load_state_dict({**plugin.state_dict(), "gate": {}})
    assert isinstance(new.gate, DiscriminantGate)


class _Net(nn.Module):
    """Its features are its inputs, weighted."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))

    def features(self, given: torch.Tensor) -> torch.Tensor:
        return given * self.weight
