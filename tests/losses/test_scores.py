from __future__ import annotations

import pytest
import torch
from torch import nn

from cliqa.losses.correlation import PLCCLoss
from cliqa.losses.scores import ScoreLoss, as_score_loss, unit_deviation
from cliqa.registry import LOSSES, build_component
from cliqa.utils.errors import ConfigError, ModelError

OURS = ["PairwiseRankLoss", "PLCCLoss", "FidelityLoss", "NormInNormLoss"]
NAMES = ["L1Loss", "MSELoss", "HuberLoss", "SmoothL1Loss", *OURS]


def build(name: str) -> ScoreLoss:
    return as_score_loss(build_component(LOSSES, {"type": name}, "cl_strategy.loss"))


def batch(size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.rand(2, size, generator=generator, dtype=torch.float64)
    return prediction.requires_grad_(), target


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("prediction", "target"), [((4, 1), (4,)), ((4,), (4, 1)), ((4,), (3,)), ((), ())]
)
def test_shapes_that_would_broadcast_are_refused(
    name: str, prediction: tuple[int, ...], target: tuple[int, ...]
) -> None:
    with pytest.raises(ModelError, match=r"\(B,\) and \(B,\).*LinearScoreHead"):
        build(name)(torch.zeros(prediction), torch.zeros(target))


@pytest.mark.parametrize("name", OURS)
def test_our_losses_refuse_them_without_the_wrapper_too(name: str) -> None:
    with pytest.raises(ModelError, match=r"scores of shape \(4, 1\) for targets of shape \(4,\)"):
        build(name).loss(torch.zeros(4, 1), torch.zeros(4))


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ModelError, match="the batch is empty"):
        build("L1Loss")(torch.zeros(0), torch.zeros(0))


def test_a_loss_per_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"L1Loss returned shape \(4,\).*reduction='mean'"):
        as_score_loss(nn.L1Loss(reduction="none"))(torch.zeros(4), torch.zeros(4))


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_is_that_of_finite_differences(name: str) -> None:
    assert torch.autograd.gradcheck(build(name), batch())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name: str, dtype: torch.dtype) -> None:
    prediction, target = (values.detach().to(dtype) for values in batch())
    value = build(name)(prediction, target)
    assert value.dtype == torch.float32
    assert value == build(name)(prediction.float(), target.float())


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_one_is_finite_and_pulls_towards_the_target(name: str) -> None:
    prediction = torch.tensor([0.2], requires_grad=True)
    value = build(name)(prediction, torch.tensor([0.9]))
    value.backward()
    assert torch.isfinite(value)
    assert prediction.grad is not None
    assert prediction.grad.item() < 0


@pytest.mark.parametrize("name", ["PairwiseRankLoss", "PLCCLoss", "NormInNormLoss"])
def test_l1_is_used_where_the_formula_is_undefined(name: str) -> None:
    prediction = torch.tensor([0.2, 0.5, 0.6], requires_grad=True)
    target = torch.full((3,), 0.3)
    value = build(name)(prediction, target)
    value.backward()
    assert value.item() == pytest.approx((0.1 + 0.2 + 0.3) / 3)
    assert prediction.grad is not None
    torch.testing.assert_close(prediction.grad, torch.tensor([-1.0, 1.0, 1.0]) / 3)


@pytest.mark.parametrize("name", NAMES)
def test_constant_predictions_have_finite_gradients(name: str) -> None:
    prediction = torch.full((4,), 0.5, requires_grad=True)
    build(name)(prediction, torch.tensor([0.1, 0.4, 0.4, 0.9])).backward()
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()
    assert prediction.grad.abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_prediction_beats_a_reversed_one(name: str) -> None:
    target = torch.linspace(0, 1, 8)
    loss = build(name)
    assert loss(target, target) < 0.03 < 0.1 < loss(target.flip(0), target)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_images_does_not_matter(name: str) -> None:
    prediction, target = batch(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    loss = build(name)
    torch.testing.assert_close(loss(prediction[order], target[order]), loss(prediction, target))


def test_wrapping_twice_wraps_once() -> None:
    wrapped = as_score_loss(PLCCLoss())
    assert as_score_loss(wrapped) is wrapped


def test_unit_deviations_have_mean_zero_and_norm_one() -> None:
    unit, varies = unit_deviation(torch.tensor([1.0, 2.0, 6.0]), q=1.0)
    assert varies
    torch.testing.assert_close(unit, torch.tensor([-2.0, -1.0, 3.0]) / 6)
    unit, varies = unit_deviation(torch.full((3,), 0.1))
    assert not varies
    assert unit.tolist() == [0.0, 0.0, 0.0]
