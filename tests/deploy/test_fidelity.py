"""Figures of two models, against their definitions."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from cliqa.deploy.fidelity import compare_models, compare_outputs
from cliqa.utils.errors import DatasetError, ModelError


def test_figures_of_scores() -> None:
    torch.manual_seed(0)
    a = torch.randn(50)
    b = ((a + 0.2 * torch.randn(50)) * 4).round() / 4  # with ties
    found = compare_outputs(a, b)
    assert found.srcc == pytest.approx(stats.spearmanr(a, b).statistic)
    assert found.plcc == pytest.approx(stats.pearsonr(a.double(), b.double()).statistic)
    assert found.rank == found.srcc
    assert found.largest == pytest.approx(float((a - b).abs().max()))
    expected = float((a - b).pow(2).mean().sqrt() / a.std(unbiased=False))
    assert found.error == pytest.approx(expected, rel=1e-5)
    assert (found.images, found.distinct, found.reference_distinct) == (
        50,
        len(set(b.tolist())),
        50,
    )
    assert found.distinct_share == found.distinct / 50
    assert found.agreement is None


def test_figures_of_logits() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0], [3.0, 1.0]])
    b = torch.tensor([[0.6, 0.5], [0.0, 1.0], [0.0, 1.0], [3.0, 1.0]])
    found = compare_outputs(a, b)
    assert (found.agreement, found.rank, found.srcc) == (0.75, 0.75, None)
    assert "same class 0.7500; RMSE" in str(found)


def test_a_model_and_itself() -> None:
    found = compare_models(
        lambda x: x.mean((1, 2, 3)), lambda x: x.mean((1, 2, 3)), torch.rand(2, 4, 3, 2, 2)
    )
    assert (found.images, found.largest, found.error) == (8, 0.0, 0.0)
    assert found.srcc == pytest.approx(1.0)


def test_constant_scores_have_no_correlation() -> None:
    found = compare_outputs(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]))
    assert (found.srcc, found.plcc, found.rank, found.distinct) == (None, None, 0.0, 1)
    assert str(found).startswith("no correlation: constant; RMSE")
    assert compare_outputs(torch.ones(2), torch.ones(2)).error is None


def test_what_cannot_be_compared() -> None:
    one = torch.rand(3)
    with pytest.raises(ModelError, match=r"shape \(3,\) and \(3, 2\) cannot be compared"):
        compare_outputs(one, torch.rand(3, 2))
    with pytest.raises(ModelError, match="the second model gives NaN"):
        compare_outputs(one, one * float("nan"))
    with pytest.raises(ModelError, match="the first model gives NaN"):
        compare_outputs(one * float("inf"), one)
    for compared in (
        lambda: compare_outputs(one[:0], one[:0]),
        lambda: compare_models(len, len, []),
    ):
        with pytest.raises(DatasetError, match="no image to compare two models on"):
            compared()
