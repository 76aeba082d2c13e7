"""Distances from an earlier model's outputs: values, gradients, and heads that have grown."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from cliqa.losses.distillation import distillation_loss, output_distance


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.0])
def test_divergence_equals_its_definition(temperature: float) -> None:
    draw = torch.Generator().manual_seed(0)
    logits, teacher = torch.randn(2, 5, 3, generator=draw)
    expected = 0.0
    for row, truth in zip(logits.double().numpy(), teacher.double().numpy(), strict=True):
        p = np.exp(truth / temperature) / np.exp(truth / temperature).sum()
        q = np.exp(row / temperature) / np.exp(row / temperature).sum()
        expected += float((p * np.log(p / q)).sum()) / 5
    assert float(distillation_loss(logits, teacher, temperature)) == pytest.approx(expected)


def test_gradient_is_that_of_softened_probabilities() -> None:
    draw = torch.Generator().manual_seed(1)
    logits, teacher = torch.randn(2, 4, 3, generator=draw)
    logits.requires_grad_()
    distillation_loss(logits, teacher, 2.0).backward()
    # Hinton et al., eq. 2: (q - p) / T, here a mean over the batch
    expected = (F.softmax(logits.detach() / 2, 1) - F.softmax(teacher / 2, 1)) / 2 / 4
    assert logits.grad is not None
    assert torch.allclose(logits.grad, expected, atol=1e-6)


def test_equal_outputs_have_no_distance_and_no_gradient() -> None:
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), requires_grad=True)
    for distance in (distillation_loss, output_distance):
        value = distance(outputs, outputs.detach().clone())
        assert float(value.detach()) == pytest.approx(0, abs=1e-6)
        (gradient,) = torch.autograd.grad(value, outputs)
        assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("shape", [(6,), (6, 4)])
def test_distance_is_the_mean_squared_error(shape: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(3)
    outputs, earlier = torch.randn(shape, generator=draw), torch.randn(shape, generator=draw)
    assert float(output_distance(outputs, earlier)) == pytest.approx(
        float(F.mse_loss(outputs, earlier)), rel=1e-6
    )


def test_what_a_head_did_not_have_is_not_compared() -> None:
    nan = float("nan")
    outputs = torch.tensor([[1.0, 2.0, 8.0], [3.0, 5.0, 8.0]], requires_grad=True)
    earlier = torch.tensor([[0.0, nan], [3.0, 2.0]])
    value = output_distance(outputs, earlier)
    assert float(value.detach()) == pytest.approx((1 + 0 + 9) / 3)
    value.backward()
    expected = torch.tensor([[2.0, 0.0, 0.0], [0.0, 6.0, 0.0]]) / 3
    assert outputs.grad is not None
    assert torch.allclose(outputs.grad, expected)


def test_nothing_to_compare_is_no_distance() -> None:
    assert float(output_distance(torch.ones(2, 1), torch.full((2, 1), float("nan")))) == 0
