"""The gate knows where a sample is from, and its features never change."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.lora.adapters import inject, lora_layers
from cliqa.training.loop.batching import RaggedImages
from cliqa.training.views.gate import DomainGate, GatedViews, share_equal
from cliqa.utils.errors import ConfigError, ModelError


class Colours(nn.Module):
    """Its features are the mean colour of an image, scaled by a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3)) * self.weight

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.features(images).sum(1)


def gate_over(*centres: list[list[float]], temperature: float = 32.0) -> DomainGate:
    gate = DomainGate(temperature=temperature)
    gate.keep(Colours())
    gate.centroids = [torch.tensor(group) for group in centres]
    return gate


def image(*colour: float) -> torch.Tensor:
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, 4, 4)


def test_weights_are_the_softmax_of_the_nearest_distances() -> None:
    gate = gate_over([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]], temperature=2.0)
    found = gate.weights(image(0.0, 3.0, 4.0))  # brought to length 1: (0, .6, .8)
    first = min((1.0 + 0.36 + 0.64), (0.36 + 0.04))
    second = 0.16 + 0.64
    expected = torch.tensor([[-2.0 * first, -2.0 * second]]).softmax(1)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_sharp_gate_takes_the_nearest() -> None:
    gate = gate_over([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]], temperature=1e4)
    assert gate.weights(image(0.2, 0.9, 0.0)).tolist() == [[0.0, 1.0]]


def test_images_of_many_sizes_and_crops_have_one_row_each() -> None:
    gate = gate_over([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    ragged = RaggedImages([image(1.0, 0.0, 0.0)[0], torch.rand(3, 6, 5)])
    assert gate.weights(ragged).shape == (2, 2)
    crops = torch.cat([image(1.0, 0.0, 0.0), image(0.0, 1.0, 0.0)])[None]  # (1, 2, 3, 4, 4)
    assert torch.allclose(gate.embed(crops), torch.tensor([[0.5, 0.5, 0.0]]).div(0.5**0.5))


def test_training_moves_no_feature() -> None:
    model, gate = Colours(), DomainGate()
    gate.keep(model)
    before = gate.embed(image(0.1, 0.2, 0.3))
    with torch.no_grad():
        model.weight.mul_(torch.tensor([3.0, 1.0, 0.5]))
    gate.keep(model)  # does nothing: it has its network
    assert torch.equal(gate.embed(image(0.1, 0.2, 0.3)), before)


def test_a_state_brings_its_own_network() -> None:
    old = gate_over([[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    state = copy.deepcopy(old.state_dict())
    trained = Colours()
    with torch.no_grad():
        trained.weight.fill_(7.0).mul_(torch.tensor([1.0, 2.0, 3.0]))
    for kept_first in (True, False):
        new = DomainGate()
        if kept_first:
            new.keep(trained)
        new.load_state_dict(copy.deepcopy(state))
        if not kept_first:
            assert new.state_dict()["network"] is not None  # not lost before the first use
            new.keep(trained)
        seen = image(0.3, 0.5, 0.1)
        assert torch.equal(new.weights(seen), old.weights(seen))


def test_centroids_are_found_where_the_data_lie(
    make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    found = []
    for _ in range(2):
        strategy = make_strategy()
        strategy.model = Colours()
        gate = DomainGate(centroids=3)
        gate.keep(strategy.model)
        for index, experience in enumerate(tiny_stream.train_stream):
            strategy.adapted_dataset = experience.dataset
            gate.add(strategy, index)
        found.append(gate)
    assert [len(centres) for centres in found[0].centroids] == [3, 3, 3]
    for one, other in zip(found[0].centroids, found[1].centroids, strict=True):
        assert torch.equal(one, other)
        assert torch.allclose(one.norm(dim=1), torch.ones(3), atol=0.05)


def test_few_samples_have_few_centroids(
    make_strategy: Callable[..., Any], tiny_stream: Any
) -> None:
    strategy = make_strategy()
    strategy.model = Colours()
    gate = DomainGate(centroids=50)
    gate.keep(strategy.model)
    strategy.adapted_dataset = tiny_stream.train_stream[0].dataset.subset([0, 1, 2])
    gate.add(strategy, 0)
    assert len(gate.centroids[0]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"centroids": 0}, r"centroids must be an integer >= 1, got 0"),
        ({"centroids": True}, r"centroids must be an integer >= 1, got True"),
        ({"temperature": 0.0}, r"temperature must be above 0, got 0\.0"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DomainGate(**arguments)


def test_a_model_without_features_is_refused() -> None:
    with pytest.raises(ModelError, match=r"Linear has neither features\(\) nor extract_feat"):
        DomainGate().keep(nn.Linear(2, 2))


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


def test_a_gate_without_a_network_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"the gate has no network yet\. Call keep\(model\) first"):
        GatedViews([Net()], DomainGate())
