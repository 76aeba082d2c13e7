"""Layers that round: against the definition, their gradients, and what is left of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.fake_quantization import (
    RANGE,
    Rounding,
    add_rounding,
    is_rounded,
    observe,
    remove_rounding,
    round_inputs,
    round_weight,
    rounding_layers,
)
from cliqa.models.lora.adapters import inject, lora_layers, merge, unmerge
from cliqa.models.weights.weights import load_weights
from cliqa.utils.errors import ConfigError, ModelError


def make() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 2)
    ).eval()


def see(model: nn.Module, images: Tensor) -> None:
    """Let a model's layers find their ranges."""
    observe(model, True)
    model(images)
    observe(model, False)


@pytest.mark.parametrize("bits", [4, 8])
def test_weights_are_rounded_by_the_definition(bits: int) -> None:
    weight = torch.randn(5, 3, 2, 2) * torch.tensor([1.0, 10.0, 0.1, 1e-20, 0.0]).view(-1, 1, 1, 1)
    largest = 2 ** (bits - 1) - 1
    step = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-12) / largest
    expected = (weight / step).round().clamp(-largest, largest) * step
    assert torch.allclose(round_weight(weight, bits), expected, rtol=1e-5, atol=1e-16)


def test_normalisation_may_be_put_into_a_weight_before_or_after() -> None:
    weight, factor = torch.randn(4, 9), torch.tensor([[3.0], [-0.5], [1e-3], [7.0]])
    assert torch.allclose(round_weight(weight * factor), factor * round_weight(weight), rtol=1e-4)


@pytest.mark.parametrize("limits", [(-1.0, 3.0), (0.0, 6.0), (0.5, 2.0), (-2.0, -1.0)])
def test_inputs_are_rounded_by_the_definition(limits: tuple[float, float]) -> None:
    values = torch.linspace(-4, 8, 1000)
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    step = (high - low) / 255
    zero = round(-low / step)
    expected = ((values / step).round() + zero).clamp(0, 255).sub(zero) * step
    found = round_inputs(values, torch.tensor(limits))
    assert float(((found - expected).abs() > 1e-5).float().mean()) < 0.01  # halves go either way
    assert float(round_inputs(torch.zeros(1), torch.tensor(limits))) == 0


def test_gradients_go_straight_through_and_stop_outside() -> None:
    values = torch.tensor([-1.0, 0.3, 1.9, 5.0], requires_grad=True)
    round_inputs(values, torch.tensor([0.0, 2.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 1.0, 1.0, 0.0]
    weight = torch.randn(3, 4, requires_grad=True)
    (2 * round_weight(weight)).sum().backward()
    assert torch.equal(weight.grad, torch.full((3, 4), 2.0))  # type: ignore[arg-type]


def test_the_running_range() -> None:
    rounding, limits = Rounding(8, momentum=0.25), torch.zeros(2)
    rounding.observe(torch.tensor([-1.0, 2.0]), limits)
    assert limits.tolist() == [-1.0, 2.0]  # the first is taken as it is
    rounding.observe(torch.tensor([1.0, 6.0]), limits)
    assert limits.tolist() == [0.75 * -1 + 0.25 * 0, 0.75 * 2 + 0.25 * 6]  # zero is in the range
    rounding.observe(torch.tensor([float("inf")]), limits)
    assert limits.tolist() == [-0.75, 3.0]


def test_nothing_changes_before_a_range_is_known() -> None:
    model, images = make(), torch.randn(2, 3, 6, 6)
    before, names = model(images), list(dict(model.named_parameters()))
    assert add_rounding(model) == ["0", "4"]
    assert torch.equal(model(images), before)
    assert list(dict(model.named_parameters())) == names
    see(model, images)
    assert all(is_rounded(layer) for layer in rounding_layers(model).values())
    assert not torch.equal(model(images), before)


def test_a_layer_computes_with_both_rounded() -> None:
    model, images = make(), torch.randn(2, 3, 6, 6)
    add_rounding(model)
    see(model, images)
    layer: Any = model[0]
    limits = torch.stack([images.min(), images.max()])
    assert torch.allclose(layer.get_buffer(RANGE), limits)
    inputs, weight = round_inputs(images, limits), round_weight(layer.weight)
    assert torch.equal(layer(images), nn.functional.conv2d(inputs, weight, layer.bias))
    assert isinstance(layer.weight, nn.Parameter)  # it has its own again
    see(model, 100 * images)
    held = layer.get_buffer(RANGE).clone()
    model(1000 * images)  # nobody observes
    assert torch.equal(layer.get_buffer(RANGE), held)


def test_a_layer_gets_its_weight_back_after_a_failure() -> None:
    model: Any = make()
    add_rounding(model)
    see(model, torch.randn(2, 3, 6, 6))
    with pytest.raises(RuntimeError):
        model[0](torch.randn(2, 5, 6, 6))
    assert isinstance(model[0].weight, nn.Parameter)


def test_ranges_are_in_the_state_and_copies_are_independent() -> None:
    model: Any = make()
    images = torch.randn(2, 3, 6, 6)
    add_rounding(model)
    see(model, images)
    other = make()
    add_rounding(other)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(images), model(images))
    twin = copy.deepcopy(model)
    assert torch.equal(twin(images), model(images))
    with torch.no_grad():
        model[0].weight.zero_()
    see(model, 50 * images)
    assert not torch.equal(twin(images), model(images))
    assert torch.equal(twin(images), other(images))


def test_weights_of_a_plain_model_fit(tmp_path: Path) -> None:
    plain: Any = make()
    model = make()
    with torch.no_grad():
        plain[0].weight.normal_()
    torch.save(plain.state_dict(), tmp_path / "plain.pth")
    add_rounding(model)
    report = load_weights(model, tmp_path / "plain.pth")
    assert report.missing == (f"0.{RANGE}", f"4.{RANGE}")
    assert not report.unexpected
    images = torch.randn(2, 3, 6, 6)
    assert torch.equal(model(images), plain(images))


def test_a_model_is_plain_again() -> None:
    model, images = make(), torch.randn(2, 3, 6, 6)
    before, keys = model(images), list(model.state_dict())
    add_rounding(model, exclude=["4"])
    see(model, images)
    assert remove_rounding(model) == {
        "0": pytest.approx((float(images.min()), float(images.max())))
    }
    assert torch.equal(model(images), before)
    assert list(model.state_dict()) == keys
    assert "forward" not in vars(model[0])
    assert not model[0]._forward_pre_hooks
    add_rounding(model)
    assert remove_rounding(model) == {}  # no input was seen


@pytest.mark.parametrize("rounding_first", [True, False])
def test_adapted_layers_round_what_they_compute_with(rounding_first: bool) -> None:
    model, images = make(), torch.randn(2, 3, 6, 6)
    for add in (add_rounding, inject)[:: 1 if rounding_first else -1]:
        add(model)
    with torch.no_grad():
        for adapted in lora_layers(model).values():
            adapted.lora_B.normal_(std=0.1)
    see(model, images)
    outputs = model(images)
    layer: Any = model[0]
    inputs = round_inputs(images, layer.get_buffer(RANGE))
    exact = nn.functional.conv2d(inputs, round_weight(layer.weight), layer.bias)
    assert torch.allclose(layer(images), exact, atol=1e-6)
    outputs.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    taken = merge(model)
    assert torch.allclose(model(images), outputs, atol=1e-5)
    unmerge(model, taken)
    assert torch.equal(model(images), outputs)
    assert torch.equal(copy.deepcopy(model)(images), outputs)


def test_mixed_precision_rounds_in_full_precision() -> None:
    model, images = make(), torch.randn(2, 3, 6, 6)
    add_rounding(model)
    with torch.autocast("cpu", torch.bfloat16):
        see(model, images)
        outputs = model(images)
    assert outputs.dtype == torch.bfloat16
    assert torch.allclose(outputs.float(), model(images), atol=0.05)
    assert model[0].get_buffer(RANGE).dtype == torch.float32


@pytest.mark.parametrize("bits", [1, 9, 8.0, True])
def test_bits_out_of_range(bits: Any) -> None:
    with pytest.raises(ConfigError, match=r"QAT: bits must be an integer in 2\.\.8, got"):
        add_rounding(make(), bits)


def test_models_without_layers_to_round_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"QAT: momentum must lie in 0\.\.1, above 0, got 0"):
        add_rounding(make(), momentum=0)
    with pytest.raises(
        ModelError, match=r"the Sequential has no linear.*except 0, 4\. Exclude fewer"
    ):
        add_rounding(make(), exclude=["0", "4"])
    model = make()
    add_rounding(model)
    with pytest.raises(ModelError, match=r"have rounding already\. Call remove_rounding"):
        add_rounding(model)
