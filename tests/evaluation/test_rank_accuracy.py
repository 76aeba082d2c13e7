from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from cliqa.evaluation.rank_accuracy import rank_accuracy
from cliqa.utils.errors import EvaluationError


def by_counting(rows: list[list[float]]) -> float:
    pairs = [pair for row in rows for pair in itertools.combinations(row, 2)]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


@pytest.mark.parametrize("values", [3, 1000])
def test_it_is_the_count_of_pairs_with_half_for_ties(values: int) -> None:
    scores = torch.randint(0, values, (40, 5), generator=torch.Generator().manual_seed(1)).float()
    assert rank_accuracy(scores) == pytest.approx(by_counting(scores.tolist()))


def test_a_perfect_a_reversed_and_a_constant_order() -> None:
    falling = torch.arange(5.0).flip(0).expand(7, 5)
    assert rank_accuracy(falling) == 1
    assert rank_accuracy(-falling) == 0
    assert rank_accuracy(torch.zeros(7, 5)) == 0.5


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.zeros(4, 1), r"at least two levels, got shape \(4, 1\)"),
        (torch.zeros(0, 5), r"got shape \(0, 5\)"),
        (torch.zeros(2, 2, 5), r"got shape \(2, 2, 5\)"),
        (torch.tensor([0.1, float("nan")]), "needs finite scores, but one is NaN or infinite"),
    ],
)
def test_invalid_scores_are_refused(scores: Tensor, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        rank_accuracy(scores)
