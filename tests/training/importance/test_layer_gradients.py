"""Gradients by layers: every layer against one backward pass a sample, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.training.importance import sample_products
from cliqa.training.importance.layer_gradients import LayerGradients, NotByLayerError

Weights = dict[str, Tensor]


def objective(output: Tensor, target: Tensor) -> Tensor:
    return (output.flatten() * target).sum()


def both_ways(model: nn.Module, inputs: Tensor, power: int) -> tuple[Weights, Weights]:
    """Return the sums by layers, and by a backward pass a sample."""
    model.eval()
    targets = torch.randn(len(inputs), model(inputs[:1]).numel())
    weights = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    found = LayerGradients(model, set(weights), power).sums(objective, weights, inputs, targets)
    expected = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for sample, target in zip(inputs, targets, strict=True):
        model.zero_grad()
        objective(model(sample[None])[0], target).backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                expected[name] += parameter.grad.abs() ** power
    return found, expected


def assert_close(found: Weights, expected: Weights) -> None:
    assert found.keys() == expected.keys()
    for name, part in expected.items():
        assert float(part.max()) > 0, name
        assert torch.allclose(found[name], part, rtol=1e-4, atol=1e-5 * float(part.max())), name


IMAGES, FEATURES, TOKENS = (5, 4, 7, 6), (5, 6), (5, 3, 6)
LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 3), FEATURES),
    "linear-no-bias": (lambda: nn.Linear(6, 3, bias=False), FEATURES),
    "linear-tokens": (lambda: nn.Linear(6, 3), TOKENS),
    "conv": (lambda: nn.Conv2d(4, 3, 3, padding=1), IMAGES),
    "conv-strided": (lambda: nn.Conv2d(4, 3, (3, 2), (2, 3), (0, 1), (1, 2)), IMAGES),
    "conv-one": (lambda: nn.Conv2d(4, 3, 1, bias=False), IMAGES),
    "conv-few-places": (lambda: nn.Conv2d(4, 3, 5), IMAGES),
    "conv-grouped": (lambda: nn.Conv2d(4, 6, 3, groups=2), IMAGES),
    "conv-depthwise": (lambda: nn.Conv2d(4, 8, 3, groups=4), IMAGES),
    "batch-norm": (lambda: nn.BatchNorm2d(4), IMAGES),
    "batch-norm-1d": (lambda: nn.BatchNorm1d(6), FEATURES),
    "layer-norm": (lambda: nn.LayerNorm(6), TOKENS),
    "layer-norm-images": (lambda: nn.LayerNorm((4, 7, 6)), IMAGES),
    "group-norm": (lambda: nn.GroupNorm(2, 4), IMAGES),
}


def spread(layer: nn.Module) -> nn.Module:
    """Give a normalisation weights and statistics that are not those of a fresh one."""
    if "Norm" in type(layer).__name__:
        for tensor in [*layer.parameters(), *layer.buffers()]:
            tensor.data.add_(torch.rand_like(tensor) if tensor.is_floating_point() else 0)
    return layer


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_equals_one_backward_pass_a_sample(name: str, power: int) -> None:
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    model = nn.Sequential(spread(make()), nn.Tanh())  # whose slope depends on the output
    assert_close(*both_ways(model, torch.randn(shape), power))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("limit", [1, 10**9])
def test_however_the_work_is_cut(limit: int, power: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    for name in ("CACHE", "UNFOLDED", "FEW_PLACES"):
        monkeypatch.setattr(sample_products, name, limit)
    model = nn.Sequential(nn.Conv2d(4, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 2, 3))
    assert_close(*both_ways(model, torch.randn(IMAGES), power))


def test_activations_changed_in_place_behind_a_layer_are_fine() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 3, 3), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 1))
    model.append(nn.ReLU(inplace=True))
    assert_close(*both_ways(model, torch.randn(IMAGES), 2))


def test_frozen_layers_and_biases_are_left_out() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    model.get_parameter("2.bias").requires_grad_(False)
    found, expected = both_ways(model, torch.randn(FEATURES), 2)
    assert found.keys() == {"2.weight", "3.weight", "3.bias"}
    assert_close(found, expected)


def test_no_hook_stays() -> None:
    model = nn.Sequential(nn.Linear(6, 2))
    both_ways(model, torch.randn(FEATURES), 2)
    assert not model[0]._forward_hooks
    with pytest.raises(NotByLayerError):
        both_ways(Twice(), torch.randn(FEATURES), 2)
    assert all(parameter.requires_grad for parameter in model.parameters())


class Twice(nn.Module):
    """Passes its layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 6)."""
        return self.fc(self.fc(features))


class Sideways(Twice):
    """Shows its layer the samples along the second axis."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 6)."""
        return self.fc(features[None].expand(2, -1, -1))[0]


class InPlace(Twice):
    """Changes what its layer has read."""

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 6)."""
        shifted = features + 1
        output = self.fc(shifted)
        shifted.zero_()
        return output


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Twice(), "fc is used twice"),
        (Sideways(), "fc has no samples along its first axis"),
        (InPlace(), "the input of fc was changed in place"),
        (nn.Conv2d(4, 3, 3, padding="same"), "is of a Conv2d"),
        (nn.Conv2d(4, 3, 3, padding=1, padding_mode="reflect"), "is of a Conv2d"),
        (nn.BatchNorm2d(4, track_running_stats=False), "is of a BatchNorm2d"),
        (nn.Conv1d(4, 3, 3), "is of a Conv1d"),
    ],
)
def test_unsupported_layers_are_refused(model: nn.Module, message: str) -> None:
    weights = {name: p.detach() for name, p in model.eval().named_parameters()}
    with pytest.raises(NotByLayerError, match=message):
        LayerGradients(model, set(weights), 2).sums(
            lambda output, _: output.sum(), weights, torch.randn(FEATURES), torch.zeros(5)
        )
