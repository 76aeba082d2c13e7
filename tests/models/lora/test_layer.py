"""Adapted layers compute W + s B A, whatever the convolution, and survive copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from cliqa.models.lora.adapters import inject
from cliqa.models.lora.layer import LoRALayer, adapt, compress, cut_down, detach, fresh_rows, refill
from cliqa.utils.errors import ModelError

CONVOLUTIONS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 7, "stride": 2, "padding": 3},
    {"kernel_size": 1},
    {"kernel_size": 3, "dilation": 2, "padding": 2},
    {"kernel_size": 3, "groups": 2, "padding": 1},
    {"kernel_size": (3, 1), "groups": 4, "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 3, "padding": "same", "dilation": (1, 2)},
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect", "bias": False},
]


def adapted(
    layer: nn.Module, rank: int = 2, scale: float = 0.7, *, accumulate: bool = False
) -> LoRALayer:
    """Return an adapted layer whose B is not zero."""
    adapt(layer, rank, scale, accumulate, torch.Generator().manual_seed(0))
    assert isinstance(layer, LoRALayer)
    nn.init.normal_(layer.lora_B)
    return layer


@pytest.mark.parametrize("arguments", CONVOLUTIONS)
def test_a_convolution_is_two_in_a_row(arguments: dict[str, object]) -> None:
    """A has the layer's own kernel, stride, padding and dilation; B is 1 x 1."""
    torch.manual_seed(0)
    plain = nn.Conv2d(8, 12, **arguments)  # type: ignore[arg-type]
    layer = adapted(copy.deepcopy(plain))
    images = torch.randn(3, 8, 11, 11)
    groups = plain.groups
    down = nn.Conv2d(8, 2 * groups, **{**arguments, "bias": False})  # type: ignore[arg-type]
    up = nn.Conv2d(2 * groups, 12, 1, groups=groups, bias=False)
    with torch.no_grad():
        down.weight.copy_(layer.lora_A)
        up.weight.copy_(layer.lora_B[..., None, None])
        expected = plain(images) + 0.7 * up(down(images))
        found = layer(images)
    assert (found - expected).norm() <= 1e-5 * expected.norm()
    kernel = plain.weight[0, 0].numel()
    assert layer.lora_A.numel() + layer.lora_B.numel() == 2 * (8 * kernel + 12)


def test_a_linear_layer_is_the_papers() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(6, 4)
    layer = adapted(copy.deepcopy(plain))
    inputs = torch.randn(5, 3, 6)
    down = inputs @ layer.lora_A.T
    expected = plain(inputs) + 0.7 * down @ layer.lora_B.T
    assert torch.allclose(layer(inputs), expected, atol=1e-6)
    assert layer.lora_A.numel() + layer.lora_B.numel() == 2 * (6 + 4)


@pytest.mark.parametrize("arguments", CONVOLUTIONS)
def test_a_new_adapter_changes_no_bit(arguments: dict[str, object]) -> None:
    plain = nn.Conv2d(8, 12, **arguments)  # type: ignore[arg-type]
    layer = copy.deepcopy(plain)
    adapt(layer, 2, 1.0, True, torch.Generator().manual_seed(0))
    images = torch.randn(3, 8, 11, 11)
    assert torch.equal(layer(images), plain(images))
    assert layer.state_dict().keys() - plain.state_dict().keys() == {
        "lora_A",
        "lora_B",
        "lora_sum",
    }


@pytest.mark.parametrize(
    ("layer", "rank"),
    [
        (nn.Linear(100, 3), 3),
        (nn.Linear(2, 100), 2),
        (nn.Conv2d(16, 16, 3, groups=16), 1),
        (nn.Conv2d(1, 64, 3), 8),
    ],
)
def test_no_rank_is_larger_than_it_can_be(layer: nn.Module, rank: int) -> None:
    assert adapted(layer, rank=8).rank == rank


def test_folding_keeps_the_weight_in_use_and_the_base() -> None:
    torch.manual_seed(0)
    layer = adapted(nn.Conv2d(4, 6, 3), accumulate=True)
    base = layer.base_weight.clone()
    for _ in range(3):
        before = layer.weight.clone()
        layer.fold()
        assert torch.equal(layer.delta(), torch.zeros_like(base))
        assert torch.allclose(layer.weight, before, atol=1e-6)
        nn.init.normal_(layer.lora_B)
    assert torch.equal(layer.base_weight, base)


def test_without_a_sum_there_is_no_folding() -> None:
    with pytest.raises(ModelError, match=r"has no sum\. Inject it with accumulate=True"):
        adapted(nn.Linear(3, 3)).fold()


def test_renewed_rows_depend_on_the_seed_alone() -> None:
    layer = adapted(nn.Linear(50, 40), rank=20)
    layer.renew(torch.Generator().manual_seed(7))
    assert torch.equal(layer.lora_A, fresh_rows((20, 50), torch.Generator().manual_seed(7)))
    assert not layer.lora_B.any()
    assert float(layer.lora_A.detach().abs().max()) <= 50**-0.5
    norm = layer.lora_A.square().sum(1).mean().sqrt()  # of a row, expected 1 / sqrt(3)
    assert norm.item() == pytest.approx(3**-0.5, rel=0.05)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_compute_the_same(copied: Callable[[LoRALayer], LoRALayer]) -> None:
    layer = adapted(nn.Conv2d(3, 4, 3), accumulate=True)
    twin = copied(layer)
    images = torch.randn(2, 3, 8, 8)
    assert type(twin) is type(layer)
    assert torch.equal(twin(images), layer(images))
    detach(twin)
    assert type(twin) is nn.Conv2d
    assert isinstance(layer, LoRALayer)


def test_a_layer_of_a_subclass_keeps_its_own_forward() -> None:
    plain = Doubled(3, 3)
    layer = adapted(plain)
    inputs = torch.randn(2, 3)
    assert torch.equal(layer(inputs), 2 * F.linear(inputs, layer.weight, plain.bias))
    assert isinstance(pickle.loads(pickle.dumps(layer)), Doubled)


class Doubled(nn.Linear):
    """A linear layer of somebody else's."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        return 2 * super().forward(input)


def test_gradients_are_the_adapters_and_exact_under_autocast() -> None:
    layer = adapted(nn.Linear(5, 4))
    layer.base_weight.requires_grad_(False)
    inputs = torch.randn(7, 5)
    slope = torch.randn(7, 4)
    (layer(inputs) * slope).sum().backward()
    outer = slope.T @ inputs  # the gradient of the weight in use
    down, up = layer.lora_A.grad, layer.lora_B.grad
    assert down is not None
    assert up is not None
    assert torch.allclose(down, 0.7 * layer.lora_B.T @ outer, atol=1e-5)
    assert torch.allclose(up, 0.7 * outer @ layer.lora_A.T, atol=1e-5)
    assert layer.base_weight.grad is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer.delta(), layer.delta().float())
        assert layer(inputs).dtype == torch.bfloat16


def test_per_sample_gradients_work() -> None:
    layer = adapted(nn.Conv2d(3, 4, 3))
    images = torch.randn(5, 3, 6, 6)
    parameters = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(given: dict[str, torch.Tensor], image: torch.Tensor) -> torch.Tensor:
        return functional_call(layer, given, (image[None],)).square().sum()

    found = vmap(grad(loss), in_dims=(None, 0))(parameters, images)
    layer(images).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(found[name].sum(0), parameter.grad, rtol=1e-4, atol=1e-4)


def learnt(layer: nn.Module, rank: int = 4) -> LoRALayer:
    """Return the layer with an adapter of falling singular values."""
    found = inject(nn.ModuleDict({"layer": layer}), rank=rank)["layer"]
    torch.manual_seed(1)
    nn.init.normal_(found.lora_B)
    with torch.no_grad():
        found.lora_B.mul_(torch.logspace(0, -3, found.rank))
    return found


LAYERS = [nn.Linear(20, 10), nn.Conv2d(6, 12, 3), nn.Conv2d(6, 12, 3, groups=3)]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("energy", [0.5, 0.9, 0.99, 0.9999, 1.0])
def test_the_rank_is_the_smallest_with_the_energy(layer: nn.Linear, energy: float) -> None:
    adapted = learnt(type(layer)(**arguments_of(layer)))
    before = whole(adapted)
    ranks = compress(adapted, energy)
    after = whole(adapted)
    for rank, was, now in zip(ranks, before, after, strict=True):
        values = torch.linalg.svdvals(was.double()).square()
        share = values.cumsum(0) / values.sum()
        assert share[rank - 1] >= energy - 1e-6
        assert rank == 1 or share[rank - 2] < energy
        assert int((torch.linalg.svdvals(now) > 1e-5 * now.norm()).sum()) == rank
        lost = float((was - now).square().sum() / was.square().sum())
        assert lost <= 1 - energy + 1e-6
    rows = adapted.factors()[1]
    for rank, group in zip(ranks, rows, strict=True):
        norms = group.norm(dim=1)
        assert torch.allclose(norms[:rank], torch.full((rank,), 3**-0.5), atol=1e-5)
        assert not group[rank:].any()


def arguments_of(layer: Any) -> dict[str, Any]:
    if isinstance(layer, nn.Linear):
        return {"in_features": layer.in_features, "out_features": layer.out_features}
    sizes = {"in_channels": layer.in_channels, "out_channels": layer.out_channels}
    return {**sizes, "kernel_size": layer.kernel_size, "groups": layer.groups}


def whole(layer: LoRALayer) -> torch.Tensor:
    """Return what an adapter adds, (G, out / G, n)."""
    up, down = layer.factors()
    return (layer.scale * up @ down).detach()


def test_an_adapter_that_learnt_nothing_has_rank_0() -> None:
    layer = inject(nn.ModuleDict({"layer": nn.Linear(5, 5)}))["layer"]
    assert compress(layer, 0.99) == [0]
    assert not layer.lora_A.any()


def test_refilled_rows_can_learn_and_change_nothing() -> None:
    layer = learnt(nn.Linear(20, 10))
    [rank] = compress(layer, 0.9)
    assert rank < 4
    before, rows = layer.weight.clone(), layer.lora_A.clone()
    refill(layer, torch.Generator().manual_seed(0))
    assert torch.allclose(layer.weight, before, atol=1e-7)
    assert torch.equal(layer.lora_A[:rank], rows[:rank])
    assert bool(layer.lora_A[rank:].flatten(1).any(1).all())


def test_ranks_are_returned_by_layer_and_group(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    layers = {"linear": learnt(nn.Linear(20, 10)), "conv": learnt(nn.Conv2d(6, 12, 3, groups=3))}
    for layer in layers.values():
        with torch.no_grad():
            layer.lora_B[:, 1:] = 0
    assert cut_down(layers, 1.0) == {"linear": [1], "conv": [1, 1, 1]}
    assert "LoRA: ranks with 1 of the adapters' energy: 1.0 on average, at most 1." in caplog.text
