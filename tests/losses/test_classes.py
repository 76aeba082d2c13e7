"""Losses on classes: the values, shapes that do not fit, and enough precision."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from cliqa.losses.classes import ClassLoss, as_class_loss
from cliqa.registry import LOSSES, build_component
from cliqa.utils.errors import ConfigError, ModelError

B, K = 6, 4


def batch(scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(B, K, generator=generator)
    return logits.requires_grad_(), torch.tensor([0, 1, 2, 3, 3, 0])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", ["CrossEntropyLoss", "torch.CrossEntropyLoss"])
def test_equals_torchs_cross_entropy(name: str, reduction: str) -> None:
    section = {"type": name, "reduction": reduction}
    loss = as_class_loss(build_component(LOSSES, section, "cl_strategy.loss"))
    logits, targets = batch()
    value, expected = loss(logits, targets), F.cross_entropy(logits, targets, reduction=reduction)
    torch.testing.assert_close(value, expected)
    found, true = (torch.autograd.grad(v, logits)[0] for v in (value, expected))
    torch.testing.assert_close(found, true)


def test_equals_the_mean_of_minus_the_log_of_the_softmax() -> None:
    logits, targets = (values.detach() for values in batch())
    share = logits.exp() / logits.exp().sum(dim=1, keepdim=True)  # (B, K)
    expected = -sum(float(share[i, t].log()) for i, t in enumerate(targets)) / B
    found = as_class_loss(nn.CrossEntropyLoss())(logits, targets)
    assert found.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    loss = as_class_loss(nn.CrossEntropyLoss())
    logits, targets = batch()
    half = logits.detach().to(dtype).requires_grad_()
    value = loss(half, targets)
    assert value.dtype == torch.float32
    assert torch.equal(value, F.cross_entropy(half.float(), targets))
    value.backward()
    assert half.grad is not None
    assert half.grad.dtype == dtype


def test_other_precisions_are_left_alone() -> None:
    logits, targets = batch()
    assert as_class_loss(nn.CrossEntropyLoss())(logits.double(), targets).dtype == torch.float64


@pytest.mark.parametrize(
    ("logits", "targets"), [((4,), (4,)), ((4, K), (3,)), ((4, K), (4, 1)), ((4, K, 2), (4, 2))]
)
def test_shapes_that_do_not_fit_are_refused(
    logits: tuple[int, ...], targets: tuple[int, ...]
) -> None:
    loss = as_class_loss(nn.CrossEntropyLoss())
    with pytest.raises(ModelError, match=r"needs \(B, K\) and \(B,\).*'LinearClsHead'"):
        loss(torch.zeros(logits), torch.zeros(targets, dtype=torch.long))


def test_a_message_names_both_shapes() -> None:
    with pytest.raises(ModelError, match=r"outputs of shape \(2,\) for targets of shape \(2,\)"):
        as_class_loss(nn.CrossEntropyLoss())(torch.zeros(2), torch.zeros(2, dtype=torch.long))


def test_a_loss_per_sample_is_refused_in_training_alone() -> None:
    loss = as_class_loss(nn.CrossEntropyLoss(reduction="none"))
    logits, targets = batch()
    with pytest.raises(ConfigError, match=r"CrossEntropyLoss returned shape \(6,\).*'mean'"):
        loss(logits, targets)
    with torch.no_grad():  # as Avalanche's MIR asks for it
        found = loss(logits, targets)
    assert torch.equal(found, F.cross_entropy(logits.detach(), targets, reduction="none"))


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "torch.CrossEntropyLoss"])
def test_reduction_is_that_of_the_loss_within(name: str) -> None:
    within = build_component(LOSSES, {"type": name}, "cl_strategy.loss")
    loss = as_class_loss(within)
    logits, targets = batch()
    before = loss(logits, targets)
    assert loss.reduction == "mean"
    loss.reduction = "none"
    assert within.reduction == "none"
    with torch.no_grad():
        assert loss(logits, targets).shape == (B,)
    loss.reduction = "mean"
    assert torch.equal(loss(logits, targets), before)


def test_a_loss_without_a_reduction_counts_as_a_mean() -> None:
    class Constant(nn.Module):
        def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return logits.sum() * 0 + len(targets)

    loss = as_class_loss(Constant())
    assert loss.reduction == "mean"
    assert loss(*batch()).item() == B


def test_wrapping_twice_changes_nothing() -> None:
    loss = as_class_loss(nn.CrossEntropyLoss())
    assert isinstance(loss, ClassLoss)
    assert as_class_loss(loss) is loss


def test_weights_of_classes_move_with_the_wrapper() -> None:
    weight = torch.tensor([1.0, 2.0, 3.0, 4.0])
    loss = as_class_loss(nn.CrossEntropyLoss(weight=weight)).double()
    logits, targets = batch()
    expected = F.cross_entropy(logits.double(), targets, weight=weight.double())
    assert torch.equal(loss(logits.double(), targets), expected)
