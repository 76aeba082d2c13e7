"""Per-sample weight gradients: every way of computing them against autograd, sample by sample."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.training.importance import sample_products
from cliqa.training.importance.sample_products import convolution_sums, product_sums


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("places", [1, 3, 9])
def test_products_are_summed_over_positions_within_a_sample(places: int, power: int) -> None:
    slope, value = torch.randn(4, places, 3), torch.randn(4, places, 5)
    expected = torch.einsum("blo,bli->boi", slope, value).abs().pow(power).sum(0)
    assert torch.allclose(product_sums(slope, value, power), expected, rtol=1e-4, atol=1e-5)


def of_samples(layer: nn.Conv2d, value: Tensor, slope: Tensor, crops: int, power: int) -> Tensor:
    """Return the sums by one backward pass a sample."""
    total = torch.zeros_like(layer.weight)
    for some, own in zip(value.split(crops), slope.split(crops), strict=True):
        (gradient,) = torch.autograd.grad(layer(some), layer.weight, own)
        total += gradient.abs().pow(power)
    return total


CONVOLUTIONS: dict[str, tuple[dict[str, Any], int]] = {
    "whole map in the kernel": ({"kernel_size": 3, "padding": 1}, 2),
    "most of the kernel on padding": ({"kernel_size": 7, "padding": 3}, 2),
    "strided": ({"kernel_size": 3, "stride": 2, "padding": 1}, 4),
    "dilated": ({"kernel_size": 3, "dilation": 2, "padding": 2}, 2),
    "positions that never meet the map": ({"kernel_size": 3, "stride": 2, "padding": 1}, 1),
    "not square": ({"kernel_size": (1, 3), "stride": (2, 1), "padding": (0, 2)}, 2),
    "large": ({"kernel_size": 3, "stride": 2, "padding": 1}, 9),
    "in groups": ({"kernel_size": 3, "padding": 1, "groups": 2}, 5),
    "depthwise": ({"kernel_size": 3, "padding": 1, "groups": 4}, 2),
}


@pytest.mark.parametrize("memory", ["contiguous_format", "channels_last"])
@pytest.mark.parametrize("crops", [1, 2])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_equal_one_backward_pass_a_sample(name: str, crops: int, memory: str) -> None:
    options, size = CONVOLUTIONS[name]
    layer = nn.Conv2d(4, 8, bias=False, **options)
    value = torch.randn(3 * crops, 4, size, size).to(memory_format=getattr(torch, memory))
    slope = torch.randn_like(layer(value)).detach()
    for power in (1, 2):
        found = convolution_sums(layer, value, slope, crops, power)
        expected = of_samples(layer, value, slope, crops, power)
        assert found.shape == layer.weight.shape
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_positions_on_padding_alone_cost_no_product(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = sample_products.product_sums

    def counted(slope: Tensor, value: Tensor, power: int) -> Tensor:
        seen.append(slope.shape[1])
        return real(slope, value, power)

    monkeypatch.setattr(sample_products, "product_sums", counted)
    layer = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    convolution_sums(layer, torch.randn(1, 2, 1, 1), torch.randn(1, 3, 1, 1), 1, 2)
    assert seen == [1]  # of the nine positions of the kernel
