from __future__ import annotations

import pytest
import torch

from cliqa.losses.ranking import PairwiseRankLoss


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
