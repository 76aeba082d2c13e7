from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from cliqa.evaluation.retrieval import chance_at_k, ranks, recall_at_k
from cliqa.utils.errors import EvaluationError


def test_it_is_the_share_of_queries_by_a_sorted_list() -> None:
    random = np.random.default_rng(0)
    similarity = random.normal(size=(40, 15))
    relevant = random.random((40, 15)) < 0.2
    relevant[np.arange(40), random.integers(0, 15, 40)] = True
    for k in (1, 3, 15, 99):
        hits = [
            relevant[q][np.argsort(-similarity[q])[:k]].any()  # by hand
            for q in range(40)
        ]
        assert recall_at_k(similarity, relevant, k) == pytest.approx(np.mean(hits))


def test_a_model_that_tells_nothing_apart_finds_nothing() -> None:
    relevant = np.eye(6, dtype=bool)
    assert recall_at_k(np.ones((6, 6)), relevant, 5) == 0
    assert recall_at_k(np.ones((6, 6)), relevant, 6) == 1
    assert ranks(np.ones((6, 6)), relevant).tolist() == [6] * 6


def test_chance_is_the_mean_over_all_orders() -> None:
    relevant = np.array([[1, 0, 0, 0], [0, 1, 1, 0]], dtype=bool)
    for k in (1, 2, 3, 4, 9):
        orders = [
            recall_at_k(np.tile(order, (2, 1)), relevant, k)
            for order in itertools.permutations(range(4))
        ]
        assert chance_at_k(relevant, k) == pytest.approx(np.mean(orders))


@pytest.mark.parametrize(
    ("similarity", "relevant", "k", "message"),
    [
        ([[1.0, 2.0]], [[1]], 1, r"similarity \(1, 2\) and relevant \(1, 1\) must have one shape"),
        ([[1.0, np.nan]], [[1, 0]], 1, "a value is not finite"),
        ([[1.0, 2.0], [1.0, 2.0]], [[1, 0], [0, 0]], 1, "query number 1 has no relevant item"),
        ([[1.0, 2.0]], [[1, 0]], 0, "k must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_measured(similarity: Any, relevant: Any, k: int, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        recall_at_k(similarity, relevant, k)
