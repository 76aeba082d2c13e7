"""Correlations and RMSE against scipy and against their definitions."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from scipy import stats

from cliqa.evaluation.functional import as_scores, is_constant, krcc, plcc, rmse, srcc
from cliqa.utils.errors import EvaluationError

Measure = Callable[..., "float | None"]

MEASURES: list[Measure] = [srcc, plcc, krcc, rmse]
CORRELATIONS: list[Measure] = [srcc, plcc, krcc]


def cases() -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of many sizes and scales, every second one with ties on both sides."""
    found = []
    for seed in range(40):
        random = np.random.default_rng(seed)
        n = int(random.integers(3, 200))
        y = random.normal(size=n)
        x = random.uniform(-1, 1) * y + random.normal(size=n)
        if seed % 2:
            x, y = np.round(x), np.round(2 * y)
        found.append((x * 10.0 ** random.integers(-4, 4) + random.normal(), y))
    return found


@pytest.mark.parametrize(("x", "y"), cases())
def test_equals_scipy_with_ties_and_without(x: np.ndarray, y: np.ndarray) -> None:
    assert srcc(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)
    assert krcc(x, y) == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)
    assert rmse(x, y) == pytest.approx(np.sqrt(np.mean((x - y) ** 2)), rel=1e-12)


def test_srcc_is_pearson_of_mid_ranks_not_the_shortcut_formula() -> None:
    x, y = np.array([1, 1, 2, 3, 3, 3.0]), np.array([2, 1, 1, 5, 4, 4.0])
    rank_x, rank_y = np.array([1.5, 1.5, 3, 5, 5, 5]), np.array([3, 1.5, 1.5, 6, 4.5, 4.5])
    assert srcc(x, y) == pytest.approx(np.corrcoef(rank_x, rank_y)[0, 1], abs=1e-12)
    shortcut = 1 - 6 * np.sum((rank_x - rank_y) ** 2) / (6 * 35)
    assert srcc(x, y) != pytest.approx(shortcut, abs=1e-3)


def test_krcc_is_tau_b_by_counting_pairs() -> None:
    x, y = np.array([1, 2, 2, 3, 4]), np.array([1, 3, 2, 2, 4])
    concordant, discordant, tied_x, tied_y = 7, 1, 1, 1
    expected = (concordant - discordant) / np.sqrt((10 - tied_x) * (10 - tied_y))
    assert krcc(x, y) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("measure", CORRELATIONS)
@pytest.mark.parametrize(("x", "y"), cases()[:6])
def test_is_symmetric_and_changes_sign(measure: Measure, x: np.ndarray, y: np.ndarray) -> None:
    value = measure(x, y)
    assert value is not None
    assert measure(y, x) == pytest.approx(value, abs=1e-12)
    assert measure(-x, y) == pytest.approx(-value, abs=1e-12)


@pytest.mark.parametrize("measure", [srcc, krcc])
def test_ranks_ignore_any_rising_mapping(measure: Measure) -> None:
    x, y = cases()[0]
    assert measure(np.exp(x / np.abs(x).max()), y) == pytest.approx(measure(x, y), abs=1e-12)


@pytest.mark.parametrize("measure", CORRELATIONS)
def test_undefined_is_none_and_warns_nobody(measure: Measure) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure([], []) is None
        assert measure([0.3], [0.4]) is None
        assert measure([0.5, 0.5, 0.5], [1, 2, 3]) is None
        assert measure([1, 2, 3], [7, 7, 7]) is None
        assert measure([0.1 + 0.2, 0.3, 0.3], [1, 2, 3]) is None  # equal but for rounding
        assert measure([0.5, 0.5 + 1e-7, 0.5], [1, 2, 3]) is not None


def test_rmse_needs_one_image_and_no_spread() -> None:
    assert rmse([], []) is None
    assert rmse([0.25], [0.75]) == 0.5
    assert rmse([2, 2], [2, 2]) == 0.0
    assert rmse([1e200, -1e200], [0, 0]) == pytest.approx(1e200)  # its square overflows


@pytest.mark.parametrize("measure", MEASURES)
def test_takes_lists_arrays_and_tensors(measure: Measure) -> None:
    x, y = [0.25, 0.5, 0.125, 1.0], [0.5, 0.25, 0.125, 0.75]
    expected = measure(x, y)
    graph = torch.tensor(x, requires_grad=True)
    assert measure(graph, torch.tensor(y, dtype=torch.bfloat16)) == expected
    assert measure(np.array(x, dtype=np.float32), tuple(y)) == expected


@pytest.mark.parametrize("measure", MEASURES)
def test_refuses_what_is_not_finite(measure: Measure) -> None:
    bad = [0.1, float("nan"), 0.3, float("inf")]
    with pytest.raises(
        EvaluationError, match=r"prediction: 2 of 4 values are not finite.* number 1 \(nan\)"
    ):
        measure(bad, [1, 2, 3, 4])
    with pytest.raises(EvaluationError, match=r"target: 1 of 4 .* number 3 \(-inf\)"):
        measure([1, 2, 3, 4], [1, 2, 3, float("-inf")])


@pytest.mark.parametrize("measure", MEASURES)
def test_refuses_shapes_that_do_not_match(measure: Measure) -> None:
    with pytest.raises(EvaluationError, match="3 predictions for 2 targets"):
        measure([1, 2, 3], [1, 2])
    with pytest.raises(EvaluationError, match=r"shape \(N,\), got shape \(3, 1\).*flatten"):
        measure(np.zeros((3, 1)), [1, 2, 3])
    with pytest.raises(EvaluationError, match="target: expected one score per image"):
        measure([1], 1)


def test_refuses_what_is_no_number() -> None:
    with pytest.raises(EvaluationError, match="prediction: expected numbers, one per image"):
        as_scores(["good", "bad"], "prediction")


def test_is_constant_up_to_rounding() -> None:
    assert is_constant(np.full(5, 1e-300))
    assert is_constant(np.array([1e15, 1e15 + 1]))
    assert not is_constant(np.array([0.0, 1e-300]))


def test_two_images_have_an_order() -> None:
    for measure in (srcc, plcc, krcc):
        assert measure([1, 2], [1, 2]) == pytest.approx(1.0)
        assert measure([1, 2], [9, 3]) == pytest.approx(-1.0)
        assert measure([1, 1], [9, 3]) is None
    assert rmse([1, 2], [1, 4]) == pytest.approx(2.0**0.5)


EXTREMES = [1e308, -1e308, 1.7e308, 5e-324, -5e-324, 1e-300, 0.0, 1.0, 1.0 + 1e-15, 1e16]


def extreme_pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield predictions and targets of every small size: ordinary, tied, huge and tiny values."""
    random = np.random.default_rng(0)
    draws: list[Callable[[int], np.ndarray]] = [
        lambda n: random.normal(size=n),
        lambda n: random.integers(0, 3, n).astype(float),
        lambda n: np.full(n, 0.3),
        lambda n: random.choice(EXTREMES, n),
        lambda n: random.integers(0, 9, n) * 5e-324,
        lambda n: random.uniform(-1.5, 1.5, n) * 1e308,
    ]
    for n in (0, 1, 2, 3, 5, 10):
        for first, second in itertools.product(draws, draws):
            yield first(n), second(n)


@pytest.mark.filterwarnings("error")
def test_every_size_and_value_has_a_measure_or_none() -> None:
    defined = 0
    for x, y in extreme_pairs():
        for measure in (srcc, plcc, krcc):
            value = measure(x, y)
            assert value is None or -1 <= value <= 1, (measure, x, y)
            defined += value is not None
        error = rmse(x, y)
        assert error is None or 0 <= error < np.inf
    assert defined > 200


@pytest.mark.parametrize("factor", [2.0**900, 2.0**-900])
def test_the_size_of_the_values_does_not_matter(factor: float) -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 9))
    for measure in (srcc, plcc, krcc):
        assert measure(x * factor, y) == measure(x, y)


def test_a_number_beyond_float64_is_no_score() -> None:
    with pytest.raises(EvaluationError, match="expected numbers, one per image"):
        srcc([10**400, 1], [1, 2])
