"""Inputs as a weight sees them, and directions that earlier inputs lack."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cliqa.models.lora.adapters import inject
from cliqa.training.adapter_memory import (
    grown,
    input_covariances,
    input_rows,
    new_directions,
)
from cliqa.training.loop.batching import RaggedImages
from cliqa.utils.errors import ModelError

CONVOLUTIONS: list[dict[str, Any]] = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "stride": 2, "dilation": 2},
    {"kernel_size": (3, 2), "groups": 2, "padding": (0, 1)},
    {"kernel_size": 3, "padding": "same", "padding_mode": "circular", "groups": 4},
]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def inputs_in(basis: torch.Tensor, count: int = 200) -> torch.Tensor:
    """Return inputs (count, n) in the span of a basis (n, m)."""
    return torch.randn(count, basis.shape[1], dtype=torch.float64) @ basis.T


def covariance(inputs: torch.Tensor) -> torch.Tensor:
    return inputs.T @ inputs / len(inputs)


@pytest.mark.parametrize("arguments", CONVOLUTIONS)
def test_the_rows_times_the_weight_are_the_outputs(arguments: dict[str, Any]) -> None:
    layer = nn.Conv2d(4, 8, bias=False, **arguments)
    images = torch.randn(3, 4, 7, 7)
    rows = input_rows(layer, images)  # (G, B * L, n)
    weight = layer.weight.flatten(1).unflatten(0, (layer.groups, -1))  # (G, out / G, n)
    outputs = layer(images)
    found = (rows @ weight.mT).unflatten(1, (3, -1)).permute(1, 0, 3, 2).reshape(outputs.shape)
    assert torch.allclose(found, outputs, atol=1e-5)


def test_a_linear_layers_rows_are_its_inputs() -> None:
    tokens = torch.randn(2, 5, 6)
    assert torch.equal(input_rows(nn.Linear(6, 3), tokens), tokens.reshape(1, 10, 6))


def test_covariances_of_batches_are_those_of_all() -> None:
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5), nn.Linear(4, 3)).train()
    model[1].eval()
    layers = inject(model)
    inputs = torch.randn(10, 5)
    found = input_covariances(model, layers, inputs.split(3))
    hidden = model[0](inputs).double()
    assert torch.allclose(found["0"][0], covariance(inputs.double()))
    assert torch.allclose(found["2"][0], covariance(hidden))
    assert [module.training for module in model] == [True, False, True]
    assert not any(module._forward_pre_hooks for module in model)


def test_images_of_any_size_are_seen() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    batch = RaggedImages([torch.randn(3, 5, 5), torch.randn(3, 8, 4)])
    found = input_covariances(model, inject(model), [batch])["0"]
    rows = torch.cat([input_rows(model[0], image[None])[0] for image in batch]).double()
    assert torch.allclose(found[0], covariance(rows))


class Bypass(nn.Module):
    """Uses a layer's weight and not the layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.layer.weight


def test_a_layer_that_is_never_called_is_named() -> None:
    model = Bypass()
    with pytest.raises(ModelError, match=r"Bypass uses the weight of 'layer' without calling"):
        input_covariances(model, inject(model), [torch.zeros(1, 3)])


def test_new_directions_are_the_strongest_orthogonal_to_the_old() -> None:
    axes = torch.eye(6, dtype=torch.float64)
    spread = torch.diag(torch.tensor([9.0, 1.0, 8.0, 2.0, 7.0, 3.0], dtype=torch.float64))
    found = new_directions(spread, axes[:, [0, 2]], rank=2)
    assert torch.allclose(found.abs(), axes[[4, 5]])
    first = new_directions(spread, axes[:, :0], rank=2)
    assert torch.allclose(first.abs(), axes[[0, 2]])


def test_directions_without_any_input_are_free_of_the_old_too() -> None:
    """Where new inputs lie wholly in the old subspace."""
    basis = torch.linalg.qr(torch.randn(8, 3, dtype=torch.float64)).Q
    found = new_directions(covariance(inputs_in(basis)), basis, rank=4)
    assert torch.allclose(found @ basis, torch.zeros(4, 3).double(), atol=1e-12)
    assert torch.allclose(found @ found.T, torch.eye(4).double(), atol=1e-12)


def test_no_more_directions_than_there_are() -> None:
    basis = torch.eye(4, dtype=torch.float64)
    found = new_directions(torch.eye(4).double(), basis[:, :3], rank=2)
    assert torch.allclose(found.abs(), torch.stack([basis[3], torch.zeros(4).double()]))
    assert not new_directions(torch.eye(4).double(), basis, rank=2).any()


@pytest.mark.parametrize(("share", "width"), [(0.0, 0), (0.4, 1), (0.5, 1), (0.51, 2), (1.0, 4)])
def test_a_basis_grows_to_a_share_of_the_energy(share: float, width: int) -> None:
    spread = torch.diag(torch.tensor([1.0, 5.0, 0.0, 3.0, 1.0], dtype=torch.float64))
    basis = grown(torch.zeros(5, 0).double(), spread, share)
    assert basis.shape == (5, width)
    assert torch.allclose(basis.T @ basis, torch.eye(width).double())
    assert float((basis.T @ spread @ basis).trace()) >= 10 * share - 1e-9
    assert torch.equal(grown(basis, spread, share), basis)


def official_directions(found: np.ndarray, basis: np.ndarray, share: float) -> tuple[int, Any]:
    """Return how many directions the authors' rule adds, and the strongest new one.

    ``update_GPM`` of InfLoRA's code in formulas: S are the singular values of (I - M M^T) C, and
    sum S^2 over those taken, with ||C||^2 - ||(I - M M^T) C||^2, must reach the share of ||C||^2.
    """
    rest = found - basis @ basis.T @ found
    left, values, _ = np.linalg.svd(rest)
    whole = (found**2).sum()
    reached, count = 1 - (rest**2).sum() / whole, 0
    while reached < share:
        reached += values[count] ** 2 / whole
        count += 1
    return count, left[:, 0]


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95, 0.98, 0.999])
def test_squares_of_the_covariance_are_the_authors_measure(share: float) -> None:
    mix = torch.randn(12, 12, dtype=torch.float64) * torch.logspace(0, -2, 12).double()
    first, second = (covariance(torch.randn(90, 12).double() @ mix.roll(k, 1).T) for k in (0, 3))
    none = torch.zeros(12, 0, dtype=torch.float64)
    basis = grown(none, first @ first, share)
    assert basis.shape[1] == official_directions(first.numpy(), none.numpy(), share)[0]
    count, strongest = official_directions(second.numpy(), basis.numpy(), share)
    assert grown(basis, second @ second, share).shape[1] == basis.shape[1] + count
    [row] = new_directions(second @ second, basis, 1)
    assert abs(float(row @ torch.tensor(strongest))) == pytest.approx(1)
    assert basis.shape[1] <= grown(none, first, share).shape[1]  # squares favour the strongest


def test_the_published_threshold_protects_fewer_directions_than_of_the_inputs_energy() -> None:
    spread = torch.diag(torch.logspace(0, -3, 64).double())  # a spectrum like that of features
    none = torch.zeros(64, 0, dtype=torch.float64)
    assert grown(none, spread @ spread, 0.95).shape[1] == 14
    assert grown(none, spread, 0.95).shape[1] == 28


def test_a_basis_keeps_what_it_had_and_counts_it() -> None:
    old = torch.eye(6, dtype=torch.float64)[:, :2]
    inputs = inputs_in(torch.eye(6, dtype=torch.float64)[:, 1:4])
    basis = grown(old, covariance(inputs), 1.0)
    assert basis.shape == (6, 4)
    assert torch.equal(basis[:, :2], old)
    assert torch.allclose(inputs @ basis @ basis.T, inputs)
    nothing = torch.zeros(6, 6).double()
    assert torch.equal(grown(old, nothing, 1.0), old)
    whole = torch.eye(6).double()
    assert torch.equal(grown(whole, covariance(inputs), 1.0), whole)
