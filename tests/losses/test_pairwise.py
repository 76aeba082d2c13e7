from __future__ import annotations

import itertools
import math

import pytest
import torch

from cliqa.losses.pairwise import EPSILON, FidelityLoss, PairwiseRankLoss


def by_loops(prediction: list[float], target: list[float], margin: float) -> float:
    terms = [
        max(0.0, margin - (prediction[i] - prediction[j]))
        for i in range(len(target))
        for j in range(len(target))
        if target[i] > target[j]
    ]
    return sum(terms) / len(terms)


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.5])
def test_it_equals_the_formula_in_plain_loops_with_ties(margin: float) -> None:
    prediction = [0.3, 0.31, 0.9, 0.2, 0.5]
    target = [0.1, 0.4, 0.4, 0.8, 0.1]
    value = PairwiseRankLoss(margin)(torch.tensor(prediction), torch.tensor(target))
    assert value.item() == pytest.approx(by_loops(prediction, target, margin))


def test_a_gap_beyond_the_margin_costs_nothing() -> None:
    target = torch.tensor([0.1, 0.2, 0.3])
    assert PairwiseRankLoss(margin=0.09)(target, target) == 0
    assert PairwiseRankLoss(margin=0.11)(target, target) > 0


def test_tied_targets_are_not_ranked() -> None:
    prediction = torch.tensor([0.9, 0.1, 0.5], requires_grad=True)
    PairwiseRankLoss()(prediction, torch.tensor([0.4, 0.4, 0.7])).backward()
    assert prediction.grad is not None
    assert prediction.grad[1] == 0  # already below the third, and not compared with the first


def test_a_negative_margin_is_refused() -> None:
    with pytest.raises(ValueError, match=r"margin must be at least 0, got -0\.1"):
        PairwiseRankLoss(margin=-0.1)


def phi(value: float) -> float:
    return (1 + math.erf(value / math.sqrt(2))) / 2


def fidelity_by_loops(
    prediction: list[float], target: list[float], sigma: float, target_sigma: float | None
) -> float:
    terms = []
    for i, j in itertools.combinations(range(len(target)), 2):
        p = phi((prediction[i] - prediction[j]) / math.sqrt(2 * sigma**2))
        if target_sigma is None:
            g = 1.0 if target[i] > target[j] else 0.0 if target[i] < target[j] else 0.5
        else:
            g = phi((target[i] - target[j]) / math.sqrt(2 * target_sigma**2))
        terms.append(1 - math.sqrt(p * g + EPSILON) - math.sqrt((1 - p) * (1 - g) + EPSILON))
    return sum(terms) / len(terms)


@pytest.mark.parametrize("sigma", [0.1, 1.0])
@pytest.mark.parametrize("target_sigma", [None, 0.2])
def test_the_fidelity_equals_the_formula_in_plain_loops_with_ties(
    sigma: float, target_sigma: float | None
) -> None:
    prediction = [0.3, 0.31, 0.9, 0.2, 0.5]
    target = [0.1, 0.4, 0.4, 0.8, 0.1]
    scores = torch.tensor([prediction, target], dtype=torch.float64)
    value = FidelityLoss(sigma, target_sigma)(*scores)
    assert value.item() == pytest.approx(
        fidelity_by_loops(prediction, target, sigma, target_sigma), abs=1e-6
    )


def test_equal_scores_of_tied_images_are_perfect() -> None:
    equal = torch.full((3,), 0.4)
    assert FidelityLoss()(equal, equal).item() == pytest.approx(0, abs=1e-3)


def test_a_certain_mistake_costs_one() -> None:
    value = FidelityLoss(sigma=0.01)(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert value.item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("sigma", "target_sigma"), [(0.0, None), (0.1, -1.0)])
def test_a_spread_that_is_not_positive_is_refused(sigma: float, target_sigma: float | None) -> None:
    with pytest.raises(ValueError, match=rf"must be positive, got {sigma} and {target_sigma}"):
        FidelityLoss(sigma, target_sigma)
