"""Losses of distributions against their definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.losses.pairwise import FidelityLoss
from cliqa.losses.ratings import (
    EMDLoss,
    GaussianScoreLoss,
    SoftLevelLoss,
    Wanted,
    wanted_by,
)
from cliqa.losses.scores import as_score_loss
from cliqa.utils.errors import ConfigError

TARGETS = torch.tensor([0.2, 0.5, 0.9])
SHARES = torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.0, 0.2, 0.8]])
RATINGS = torch.cat([torch.tensor([[0.1], [0.3], [0.2]]), SHARES], dim=1)


def logits() -> Tensor:
    return torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("r", [1.0, 2.0])
def test_the_distance_of_cumulative_shares_is_the_papers(r: float) -> None:
    outputs = logits()
    found = EMDLoss(3, r)(outputs, TARGETS, RATINGS)
    gap = np.abs(np.cumsum(outputs.softmax(1).tolist(), 1) - np.cumsum(SHARES.tolist(), 1))
    assert found.item() == pytest.approx(np.mean(np.mean(gap**r, 1) ** (1 / r)), abs=1e-5)


def test_a_perfect_prediction_has_distance_zero_and_a_finite_gradient() -> None:
    outputs = SHARES.clamp_min(1e-9).log().requires_grad_()
    loss = EMDLoss(3)(outputs, TARGETS, RATINGS)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-5)
    assert bool(outputs.grad.isfinite().all())  # type: ignore[union-attr]


def test_soft_levels_have_the_gradient_of_the_cross_entropy() -> None:
    first, second = logits(), logits()
    loss = SoftLevelLoss(3)(first, TARGETS, RATINGS)
    loss.backward()
    F.cross_entropy(second, SHARES).backward()
    assert torch.allclose(first.grad, second.grad, atol=1e-6)  # type: ignore[arg-type]
    entropy = stats.entropy(SHARES.numpy(), logits().detach().softmax(1).numpy(), axis=1)
    assert loss.item() == pytest.approx(entropy.mean(), abs=1e-5)


@pytest.mark.parametrize("raters", [False, True])
def test_the_likelihood_of_scores_and_of_raters(raters: bool) -> None:
    outputs = torch.tensor([[0.3, -3.0], [0.4, -2.0], [0.9, -1.0]], requires_grad=True)
    found = GaussianScoreLoss(raters)(outputs, TARGETS, RATINGS if raters else None)
    total = 0.0
    for (mean, log_variance), target, std in zip(
        outputs.tolist(), TARGETS.tolist(), RATINGS[:, 0].tolist(), strict=True
    ):
        normal = stats.norm(mean, math.exp(log_variance / 2))
        points = target + std * stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
        total -= normal.logpdf(points if raters else target).mean()
    constant = 0.5 * math.log(2 * math.pi)
    assert found.item() == pytest.approx(total / 3 - constant, abs=1e-3)


def test_a_sure_mistake_stays_bounded() -> None:
    outputs = torch.tensor([[0.0, -100.0]], requires_grad=True)
    found = GaussianScoreLoss()(outputs, torch.tensor([1.0]))
    assert found.item() == pytest.approx(0.5 * (math.log(1e-4) + 1e4), rel=1e-4)


def test_the_fidelity_takes_each_images_own_spread() -> None:
    scores = torch.tensor([0.1, 0.6, 0.5], requires_grad=True)
    found = FidelityLoss(0.2, raters=True)(scores, TARGETS, RATINGS)
    parts = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        spread = math.hypot(RATINGS[i, 0].item(), RATINGS[j, 0].item())
        g = stats.norm.cdf((TARGETS[i] - TARGETS[j]).item() / spread)
        p = stats.norm.cdf((scores[i] - scores[j]).item() / (math.sqrt(2) * 0.2))
        parts.append(1 - math.sqrt(p * g) - math.sqrt((1 - p) * (1 - g)))
    assert found.item() == pytest.approx(np.mean(parts), abs=1e-3)


def test_raters_who_agree_make_the_order_certain() -> None:
    scores = torch.tensor([0.1, 0.6, 0.5], requires_grad=True)
    target = torch.tensor([0.2, 0.2, 0.9])
    none = torch.zeros(3, 1)
    certain = FidelityLoss(0.2)(scores, target)
    assert torch.allclose(FidelityLoss(0.2, raters=True)(scores, target, none), certain)


def test_an_evaluation_has_the_error_of_the_scores() -> None:
    scores = torch.tensor([0.1, 0.6, 0.5])
    for loss in (EMDLoss(3), SoftLevelLoss(3), GaussianScoreLoss(True)):
        assert loss(scores, TARGETS) == F.l1_loss(scores, TARGETS)
    plain = FidelityLoss(0.2, 0.3)(scores, TARGETS)
    assert FidelityLoss(0.2, 0.3, raters=True)(scores, TARGETS) == plain


@pytest.mark.parametrize(
    ("loss", "outputs", "message"),
    [
        (
            EMDLoss(5),
            logits(),
            r"shape \(3, 3\).*reads 5 numbers.*'LevelScoreHead', levels=5",
        ),
        (SoftLevelLoss(3), logits()[:, 0], r"gives shape \(3,\).*LevelScoreHead"),
        (GaussianScoreLoss(), logits(), r"reads 2 numbers an image.*GaussianScoreHead"),
        (EMDLoss(3), logits(), "EMDLoss: the batch has no ratings"),
        (FidelityLoss(raters=True), logits()[:, 0], "FidelityLoss: the batch has no ratings"),
    ],
)
def test_what_does_not_fit_is_named(loss: nn.Module, outputs: Tensor, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loss(outputs, TARGETS)


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        (EMDLoss, {"levels": 1}, "levels must be an integer of at least 2, got 1"),
        (EMDLoss, {"r": 0.5}, "r must be at least 1, got 0.5"),
        (SoftLevelLoss, {"default_std": 0}, "default_std must be positive or None, got 0"),
        (GaussianScoreLoss, {"default_std": -1}, "default_std must be positive"),
        (FidelityLoss, {"default_std": -1}, "default_std must be positive"),
    ],
)
def test_arguments(kind: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**arguments)


def test_what_a_loss_reads_is_known_behind_its_wrapper() -> None:
    assert wanted_by(as_score_loss(FidelityLoss(raters=True, default_std=0.1))) == Wanted(0, 0.1)
    assert wanted_by(as_score_loss(nn.L1Loss())) is None
    assert wanted_by(SoftLevelLoss(5)) == Wanted(5)
