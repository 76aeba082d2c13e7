"""The fast bootstrap against a naive loop over the same resamples."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from cliqa.evaluation import bootstrap
from cliqa.evaluation.bootstrap import (
    bootstrap_intervals,
    bootstrap_samples,
    paired_bootstrap,
    resample_counts,
)
from cliqa.utils.errors import EvaluationError


def pair(
    n: int, seed: int = 0, ties: bool = False, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and targets (n,) with a correlation of about 0.7 at noise 1."""
    random = np.random.default_rng(seed)
    y = random.normal(size=n)
    x = y + noise * random.normal(size=n)
    return (np.round(x), np.round(y)) if ties else (x, y)


def naive(x: np.ndarray, y: np.ndarray, resamples: int, seed: int) -> dict[str, list[float]]:
    """The same measures by scipy on every resample, written out."""
    found: dict[str, list[float]] = {"srcc": [], "plcc": [], "rmse": []}
    for counts in np.concatenate(list(resample_counts(x.size, resamples, seed))):
        drawn = np.repeat(np.arange(x.size), counts.astype(int))
        u, v = x[drawn], y[drawn]
        constant = np.ptp(u) == 0 or np.ptp(v) == 0
        found["srcc"].append(np.nan if constant else stats.spearmanr(u, v).statistic)
        found["plcc"].append(np.nan if constant else stats.pearsonr(u, v).statistic)
        found["rmse"].append(float(np.sqrt(np.mean((u - v) ** 2))))
    return found


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [2, 3, 11, 60])
def test_equals_the_naive_loop(n: int, ties: bool) -> None:
    x, y = pair(n, seed=n, ties=ties)
    fast, slow = bootstrap_samples(x, y, resamples=50, seed=3), naive(x, y, 50, 3)
    for name in ("srcc", "plcc", "rmse"):
        digits = 1e-12 if name == "srcc" else 1e-11
        np.testing.assert_allclose(fast[name], slow[name], rtol=0, atol=digits, err_msg=name)


def test_a_resample_of_one_value_is_undefined_at_any_size() -> None:
    found = bootstrap_samples(np.zeros(300_007), np.arange(300_007), resamples=1)
    assert np.isnan(found["srcc"]).all()
    assert np.isnan(found["plcc"]).all()


def test_an_outlier_costs_no_digits() -> None:
    x, y = pair(30)
    x[4], y[7] = 1e7, -1e7
    fast, slow = bootstrap_samples(x, y, resamples=60, seed=1), naive(x, y, 60, 1)
    np.testing.assert_allclose(fast["plcc"], slow["plcc"], atol=1e-6)


def test_resamples_hold_n_images_each_and_are_uniform() -> None:
    counts = np.concatenate(list(resample_counts(50, 2000, seed=0)))
    assert counts.shape == (2000, 50)
    assert (counts.sum(axis=1) == 50).all()
    drawn = counts.sum(axis=0)
    assert stats.chisquare(drawn).pvalue > 1e-3
    assert np.mean(counts == 0) == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)


def test_the_draw_does_not_depend_on_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = pair(37)
    whole = bootstrap_samples(x, y, resamples=101, seed=5)
    drawn = np.concatenate(list(resample_counts(37, 101, seed=5)))
    monkeypatch.setattr(bootstrap, "CHUNK_CELLS", 100)
    chunks = list(resample_counts(37, 101, seed=5))
    assert len(chunks) == 51
    np.testing.assert_array_equal(np.concatenate(chunks), drawn)
    chunked = bootstrap_samples(x, y, resamples=101, seed=5)
    for name, values in whole.items():
        np.testing.assert_allclose(values, chunked[name], rtol=1e-12)


def test_intervals_are_percentiles_and_repeatable() -> None:
    x, y = pair(40)
    found = bootstrap_intervals(x, y, resamples=300, seed=2, level=0.9)
    samples = bootstrap_samples(x, y, resamples=300, seed=2)
    for name, interval in found.items():
        assert interval == pytest.approx(tuple(np.quantile(samples[name], [0.05, 0.95])))
    assert found == bootstrap_intervals(x, y, resamples=300, seed=2, level=0.9)
    assert found != bootstrap_intervals(x, y, resamples=300, seed=3, level=0.9)


def test_covers_the_truth_about_as_often_as_it_says() -> None:
    correlation = 0.8
    truth = 6 / np.pi * np.arcsin(correlation / 2)  # Spearman's of a normal pair
    hits = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        y = random.normal(size=150)
        x = correlation * y + np.sqrt(1 - correlation**2) * random.normal(size=150)
        interval = bootstrap_intervals(x, y, resamples=200, seed=seed)["srcc"]
        assert interval is not None
        hits += interval[0] <= truth <= interval[1]
    assert 0.88 <= hits / 150 <= 0.99


def test_twenty_thousand_images_take_seconds_and_bounded_memory() -> None:
    x, y = pair(20_000, ties=True)
    started = time.perf_counter()
    bootstrap_samples(x, y, resamples=100)
    assert time.perf_counter() - started < 3.0  # 0.1 s on an idle core
    tracemalloc.start()
    bootstrap_samples(x, y, resamples=60)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # all 60 resamples at once would take 100 MB


def test_few_images_and_constants_have_no_interval() -> None:
    nothing = {"srcc": None, "plcc": None, "rmse": None}
    assert bootstrap_intervals(range(9), range(9)) == nothing
    assert bootstrap_intervals(range(10), range(10))["srcc"] == (1.0, 1.0)
    mostly_constant = np.r_[np.zeros(400), 1.0]
    found = bootstrap_intervals(np.zeros(401), mostly_constant)
    assert found["srcc"] is None
    assert found["plcc"] is None
    assert found["rmse"] is not None


def test_refuses_wrong_settings() -> None:
    with pytest.raises(EvaluationError, match="level must lie between 0 and 1, got 95"):
        bootstrap_intervals(range(20), range(20), level=95)
    with pytest.raises(EvaluationError, match="got 0 of 20 images"):
        bootstrap_samples(range(20), range(20), resamples=0)
    with pytest.raises(EvaluationError, match="got 10 of 0 images"):
        bootstrap_samples([], [], resamples=10)


def test_paired_difference_is_that_of_the_naive_loop() -> None:
    a, y = pair(40, seed=1)
    b = y + 1.5 * np.random.default_rng(9).normal(size=40)
    found = paired_bootstrap(a, b, y, resamples=80, seed=4)
    gaps = np.array(naive(a, y, 80, 4)["srcc"]) - np.array(naive(b, y, 80, 4)["srcc"])
    assert found.interval == pytest.approx(tuple(np.quantile(gaps, [0.025, 0.975])), abs=1e-9)
    assert found.difference == pytest.approx(found.value_a - found.value_b)
    beyond = min(np.sum(gaps <= 0), np.sum(gaps >= 0))
    assert found.p_value == pytest.approx(min(1, 2 * (beyond + 1) / 81))


@pytest.mark.parametrize("measure", ["srcc", "plcc", "rmse"])
def test_paired_finds_a_small_gain_that_two_intervals_hide(measure: str) -> None:
    random = np.random.default_rng(0)
    y = random.normal(size=500)
    shared = random.normal(size=500)
    a = y + 0.60 * shared
    b = y + 0.66 * shared + 0.05 * random.normal(size=500)
    found = paired_bootstrap(a, b, y, measure=measure)
    assert found.difference > 0
    assert found.interval is not None
    assert found.interval[0] > 0
    assert found.p_value is not None
    assert found.p_value < 0.01
    apart = [bootstrap_intervals(p, y)[measure] for p in (a, b)]
    assert apart[0] is not None
    assert apart[1] is not None
    assert max(apart[0][0], apart[1][0]) < min(apart[0][1], apart[1][1])  # they overlap
    swapped = paired_bootstrap(b, a, y, measure=measure)
    assert swapped.difference == -found.difference
    assert swapped.p_value == found.p_value


def test_paired_of_one_model_with_itself_is_no_difference() -> None:
    x, y = pair(50)
    found = paired_bootstrap(x, x, y)
    assert (found.difference, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)
    few = paired_bootstrap(x[:5], x[:5], y[:5])
    assert (few.interval, few.p_value) == (None, None)


def test_paired_refuses_what_it_cannot_compare() -> None:
    x, y = pair(20)
    with pytest.raises(EvaluationError, match=r"unknown measure 'krcc'\. Known: srcc, plcc, rmse"):
        paired_bootstrap(x, x, y, measure="krcc")
    with pytest.raises(EvaluationError, match="srcc of model B is not defined"):
        paired_bootstrap(x, np.zeros(20), y)


@pytest.mark.filterwarnings("error")
def test_the_size_of_the_values_does_not_matter() -> None:
    x, y = pair(20)
    plain = bootstrap_samples(x, y, resamples=20)
    for factor in (2.0**990, 2.0**-990):
        sized = bootstrap_samples(x * factor, y * factor, resamples=20)
        assert np.array_equal(sized["srcc"], plain["srcc"])
        assert np.array_equal(sized["plcc"], plain["plcc"])
        assert sized["rmse"] == pytest.approx(plain["rmse"] * factor)
