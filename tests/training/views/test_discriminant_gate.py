"""The discriminant gate tells data sets apart by what its network's levels show of an image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cliqa.models.backbones.levels import level_statistics
from cliqa.models.backbones.small_conv_net import SmallConvNet
from cliqa.training.loop.batching import RaggedImages
from cliqa.training.views.discriminant_gate import DiscriminantGate, fade
from cliqa.training.views.gate import GatedViews
from cliqa.utils.errors import ConfigError, ModelError


class Net(nn.Module):
    """A small backbone with a head."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.backbone = SmallConvNet(3, (4, 8))
        self.head = nn.Linear(8, outputs)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        return self.backbone(images)[0].mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = self.head(self.features(images))
        return found[:, 0] if found.shape[1] == 1 else found


def scenes(count: int, seed: int) -> torch.Tensor:
    """Return smooth random images (N, 3, 32, 32)."""
    random = torch.Generator().manual_seed(seed)
    small = torch.randn(count, 3, 6, 6, generator=random)
    return F.interpolate(small, size=32, mode="bicubic")


def blurred(images: torch.Tensor, much: float = 1.0) -> torch.Tensor:
    return torch.lerp(images, F.avg_pool2d(images, 9, 1, 4), much)


def noisy(images: torch.Tensor, much: float = 0.3) -> torch.Tensor:
    random = torch.Generator().manual_seed(len(images))
    return images + much * torch.randn(images.shape, generator=random)


def dark(images: torch.Tensor) -> torch.Tensor:
    return 0.3 * images - 1


def striped(images: torch.Tensor) -> torch.Tensor:
    return images + 0.5 * (torch.arange(32) % 4 < 2).float()


def blocky(images: torch.Tensor) -> torch.Tensor:
    return F.interpolate(F.avg_pool2d(images, 4), size=32)


def grey(images: torch.Tensor) -> torch.Tensor:
    return images.mean(1, keepdim=True).expand_as(images)


KINDS = (blurred, noisy, dark, striped, blocky, grey)


def learnt(kinds: Any = KINDS[:3], count: int = 60, **arguments: Any) -> DiscriminantGate:
    """Return a gate over data sets of degraded scenes."""
    torch.manual_seed(0)
    gate = DiscriminantGate(**arguments)
    gate.keep(Net())
    for index, kind in enumerate(kinds):
        teach(gate, index, kind(scenes(count, index)))
    return gate


def teach(gate: DiscriminantGate, index: int, images: torch.Tensor) -> None:
    strategy: Any = SimpleNamespace(
        options=SimpleNamespace(seed=1),
        rows_of=lambda function, count=0: function(images[: count or None]).cpu(),
    )
    gate.add(strategy, index)


def right(gate: DiscriminantGate, kinds: Any = KINDS[:3]) -> tuple[float, float]:
    """Return the mean weight of the right data set, and how often it is first, on new scenes."""
    weights = [gate.weights(kind(scenes(40, 100 + t))) for t, kind in enumerate(kinds)]
    first = [(w.argmax(1) == t).float().mean() for t, w in enumerate(weights)]
    own = [w[:, t].mean() for t, w in enumerate(weights)]
    return float(torch.stack(own).mean()), float(torch.stack(first).mean())


@pytest.mark.parametrize("own", [False, True])
def test_new_images_are_told_by_their_distortions(own: bool) -> None:
    weight, first = right(learnt(own=own))
    assert first > 0.9
    assert weight > 0.75


def test_six_data_sets() -> None:
    weight, first = right(learnt(KINDS, levels=["blocks.0.0", "blocks.1"]), KINDS)
    assert first > 0.75  # chance is 0.17
    assert weight > 0.5


def test_data_sets_that_are_alike_are_weighted_alike() -> None:
    gate = learnt([blurred, lambda x: blurred(x.flip(3)), noisy])
    weights = gate.weights(blurred(scenes(40, 100)))
    assert weights[:, 2].mean() < 0.1
    assert (weights[:, 0].mean() - weights[:, 1].mean()).abs() < 0.5
    assert weights[:, :2].amax(1).mean() < 0.95  # nobody can be sure


def test_a_mixture_of_distortions_lies_between() -> None:
    gate = learnt([blurred, noisy], unknown=None)
    shares = []
    for much in (0.0, 0.05, 0.1, 0.3):
        shares.append(float(gate.weights(noisy(blurred(scenes(40, 100)), much))[:, 1].mean()))
    assert shares == sorted(shares)
    assert shares[0] < 0.2
    assert shares[-1] > 0.5


def test_an_image_like_no_data_set_is_weighted_equally() -> None:
    far = 6 * torch.randn(30, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    weights = learnt().weights(far)
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / 3))
    assert learnt(unknown=None).weights(far).amax(1).mean() > 0.9
    hard = learnt(hard=True)
    torch.testing.assert_close(hard.weights(far), torch.full_like(weights, 1 / 3))


def test_weights_fade_from_the_reach_on() -> None:
    found = fade(torch.tensor([0.5, 1.0, 1.25, 2.0, 9.0]))
    assert found.tolist() == [0.0, 0.0, 0.25, 1.0, 1.0]


def test_hard_weights_are_one_for_the_likeliest() -> None:
    soft, hard = learnt(unknown=None), learnt(unknown=None, hard=True)
    images = noisy(scenes(20, 50), 0.1)
    weights = hard.weights(images)
    assert set(weights.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(weights.argmax(1), soft.weights(images).argmax(1))


@pytest.mark.parametrize("arguments", [{}, {"own": True}, {"dims": 10}, {"held": 0}])
def test_a_state_between_two_experiences_loses_nothing(
    arguments: dict[str, Any], assert_same: Callable[..., None]
) -> None:
    whole, part = learnt(**arguments), learnt(KINDS[:2], **arguments)
    state = copy.deepcopy(part.state_dict())
    again = DiscriminantGate(**arguments)
    again.load_state_dict(state)
    again.keep(Net())  # other weights: the state brings its own
    teach(again, 2, dark(scenes(60, 2)))
    assert_same(again.state_dict(), whole.state_dict())
    images = dark(scenes(9, 77))
    assert torch.equal(again.weights(images), whole.weights(images))


def test_a_state_holds_no_image_and_does_not_grow_with_a_data_set() -> None:
    def numbers(gate: DiscriminantGate) -> int:
        state = gate.state_dict()
        tensors = [*state["held"], *state["sums"]["means"], *state["sums"]["scatters"]]
        return sum(tensor.numel() for tensor in tensors)

    dims = len(learnt(KINDS[:1], held=0).state_dict()["centre"])
    small, large = (learnt(KINDS[:2], count, held=0) for count in (20, 90))
    assert numbers(small) == numbers(large) == 2 * dims + dims * dims
    assert numbers(learnt(KINDS[:2], 90, held=10)) <= numbers(large) + 20 * dims


def test_statistics_beyond_the_limit_are_projected() -> None:
    gate = learnt(dims=6)
    assert gate.state_dict()["sums"]["means"][0].shape == (6,)
    assert right(gate)[1] > 0.6


def test_a_constant_statistic_decides_nothing() -> None:
    """A dead channel has no variance in any data set but one image."""
    gate = DiscriminantGate(unknown=None)
    torch.manual_seed(0)
    network: Any = Net()
    with torch.no_grad():
        network.backbone.blocks[0][0].bias[0] = -50.0
    gate.keep(network)
    for index, kind in enumerate(KINDS[:2]):
        teach(gate, index, kind(scenes(60, index)))
    weight, first = right(gate, KINDS[:2])
    assert first > 0.9
    assert gate.weights(100 * scenes(3, 5)).isfinite().all()


def test_crops_and_images_of_many_sizes_have_one_row_each() -> None:
    gate, images = learnt(), scenes(4, 9)
    crops = torch.stack([images[:2], images[2:]], dim=1)  # (2, 2, 3, 32, 32)
    expected = gate.embed(images).view(2, 2, -1).mean(0)
    torch.testing.assert_close(gate.embed(crops), expected)
    ragged = RaggedImages([images[0], images[1][:, :20]])
    found = gate.weights(ragged)
    assert found.shape == (2, 3)
    torch.testing.assert_close(found[0], gate.weights(images[:1])[0])


@pytest.mark.parametrize("outputs", [1, 5])
def test_the_deployed_network_is_weighted_alike(outputs: int) -> None:
    gate, images = learnt(), noisy(scenes(6, 3))
    torch.manual_seed(1)
    views = [Net(outputs).eval() for _ in range(3)]
    weights = gate.weights(images)
    outs = torch.stack([view(images).view(6, -1) for view in copy.deepcopy(views)], dim=1)
    network = GatedViews(views, gate).eval()
    torch.testing.assert_close(network.weights(images), weights)
    expected = (weights[..., None] * outs).sum(1)
    torch.testing.assert_close(network(images).view(6, -1), expected)


def test_levels_and_statistics_are_those_asked_for() -> None:
    gate = learnt(levels=["blocks.1"], statistics=["mean"])
    images = scenes(3, 1)
    expected = level_statistics(gate.network, images, {"blocks.1": "map"}, ["mean"])
    assert torch.equal(gate.embed(images), expected)
    with pytest.raises(ModelError, match=r"the SmallConvNet has no module 'layer1'"):
        learnt(levels=["layer1"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"statistics": ["median"]}, r"gate: statistics must be one of"),
        ({"statistics": "mean"}, r"gate: statistics must be a list"),
        ({"levels": "layer1"}, r"gate: levels must be a list of the backbone's modules"),
        ({"shrinkage": 1.5}, r"gate: shrinkage must lie in 0\.\.1, got 1\.5"),
        ({"shrinkage": 0.0}, r"gate: shrinkage must be above 0, got 0\.0"),
        ({"temperature": -1.0}, r"gate: temperature must be above 0, got -1\.0"),
        ({"unknown": 1.0}, r"gate: unknown must lie in 0\.\.1, below 1, got 1\.0"),
        ({"held": -1}, r"gate: held must be an integer >= 0, got -1"),
        ({"dims": 0}, r"gate: dims must be an integer >= 1, got 0"),
    ],
)
def test_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DiscriminantGate(**arguments)


def test_a_gate_that_has_learnt_nothing_says_so() -> None:
    with pytest.raises(ConfigError, match=r"gate: it has learnt no experience yet"):
        DiscriminantGate().rule()
