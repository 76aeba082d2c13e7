"""The report of one model on one data set."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from cliqa.evaluation.bootstrap import bootstrap_intervals
from cliqa.evaluation.functional import plcc, rmse
from cliqa.evaluation.logistic import logistic_fit
from cliqa.evaluation.quality import NAMES, quality_metrics, score_measures
from cliqa.utils.errors import EvaluationError


def scores(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and scores of 0..1 that agree well."""
    random = np.random.default_rng(seed)
    y = random.random(n)
    return y + 0.1 * random.normal(size=n), y


def test_holds_every_measure() -> None:
    x, y = scores()
    report = quality_metrics(x, y, bootstrap=200, seed=7)
    assert report.srcc == pytest.approx(stats.spearmanr(x, y).statistic)
    assert report.plcc == pytest.approx(stats.pearsonr(x, y).statistic)
    assert report.krcc == pytest.approx(stats.kendalltau(x, y).statistic)
    assert report.rmse == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
    fitted = logistic_fit(x, y)(x)
    assert (report.plcc_fit, report.rmse_fit) == (plcc(fitted, y), rmse(fitted, y))
    assert report.intervals == bootstrap_intervals(x, y, resamples=200, seed=7)
    assert (report.n, report.warnings) == (60, ())


def test_rmse_is_in_the_units_of_the_targets() -> None:
    x, y = scores()
    on_raw_scale = quality_metrics(1 + 4 * x, 1 + 4 * y, bootstrap=0)
    report = quality_metrics(x, y, bootstrap=0)
    assert report.rmse is not None
    assert on_raw_scale.rmse == pytest.approx(4 * report.rmse)
    assert on_raw_scale.srcc == report.srcc


def test_constant_prediction_is_not_defined_and_says_so() -> None:
    report = quality_metrics(np.full(20, 0.5), np.linspace(0, 1, 20))
    assert (report.srcc, report.plcc, report.krcc, report.plcc_fit) == (None, None, None, None)
    assert report.rmse is not None
    assert report.warnings == ("constant prediction",)  # once, not once a measure
    assert report.intervals["srcc"] is None
    assert report.intervals["rmse"] is not None


@pytest.mark.parametrize(
    ("n", "reason"),
    [
        (0, "a correlation needs two images, there is none"),
        (1, "a correlation needs two images, there is one"),
        (4, "a logistic fit needs 5 images, there are 4"),
        (9, "no interval below 10 images (there are 9)"),
    ],
)
def test_few_images_say_what_is_missing(n: int, reason: str) -> None:
    x, y = scores()
    assert reason in quality_metrics(x[:n], y[:n]).warnings


def test_no_interval_where_none_is_asked_for() -> None:
    report = quality_metrics(*scores(), bootstrap=0)
    assert report.intervals == {"srcc": None, "plcc": None, "rmse": None}
    assert report.warnings == ()


def test_predictions_that_run_against_the_scores_have_no_fitted_plcc() -> None:
    x, y = scores()
    report = quality_metrics(-x, y, bootstrap=0)
    assert report.plcc is not None
    assert report.plcc < -0.9
    assert report.plcc_fit is None
    assert report.rmse_fit is None
    assert "would hide it" in report.warnings[0]


def test_counts_tied_images_and_warns_about_tied_predictions() -> None:
    x = np.array([0.1, 0.1, 0.2, 0.3, 0.4, 0.5])
    y = np.array([1.0, 2.0, 3.0, 3.0, 3.0, 4.0])
    report = quality_metrics(x, y, bootstrap=0)
    assert report.n_ties == 5  # two share a prediction, three others a target
    assert report.warnings == ("2 of 6 predictions are tied: low precision or saturation?",)
    assert quality_metrics(np.arange(6), y, bootstrap=0).warnings == ()


def test_warns_where_predictions_differ_by_rounding_only() -> None:
    x = (0.5 + 1e-8 * np.random.default_rng(0).normal(size=50)).astype(np.float64)
    report = quality_metrics(x, scores(50)[1], bootstrap=0)
    assert "the predictions differ by rounding only: their ranks are noise" in report.warnings


def test_row_is_json() -> None:
    row = quality_metrics(*scores(), bootstrap=50).to_row()
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert list(row["interval"]) == ["srcc", "plcc", "rmse"]
    low, high = row["interval"]["srcc"]
    assert low < row["srcc"] < high
    empty = quality_metrics([], []).to_row()
    assert json.loads(json.dumps(empty, allow_nan=False)) == empty


def test_refuses_bad_input() -> None:
    with pytest.raises(EvaluationError, match=r"bootstrap must be 0 \(no interval\) or more"):
        quality_metrics(*scores(), bootstrap=-1)
    with pytest.raises(EvaluationError, match="1 of 3 values are not finite"):
        quality_metrics([1, np.nan, 2], [1, 2, 3])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 9, 10])
@pytest.mark.parametrize("size", [1.0, 1e308, 5e-324])
def test_every_measure_has_a_value_or_a_reason(n: int, size: float) -> None:
    random = np.random.default_rng(n)
    for x in (random.integers(-1, 2, n) * size, np.full(n, size), random.uniform(-1, 1, n) * size):
        report = quality_metrics(x, np.arange(float(n)), bootstrap=20)
        row = report.to_row()
        assert json.loads(json.dumps(row, allow_nan=False)) == row
        if None in (report.srcc, report.plcc, report.krcc, report.plcc_fit, report.rmse):
            assert report.warnings


def test_an_error_beyond_float64_is_told() -> None:
    report = quality_metrics([1.7e308, -1e308], [-1.7e308, 1e308], bootstrap=0)
    assert report.rmse is None
    assert report.srcc == pytest.approx(-1.0)
    assert "the error is beyond the range of float64" in report.warnings
    assert any("no logistic fit of values beyond" in w for w in logistic_of_extremes())


def logistic_of_extremes() -> tuple[str, ...]:
    values = np.arange(6.0) * 1e200
    return quality_metrics(values, values, bootstrap=0).warnings


def test_measures_are_scipys_and_fit_into_json() -> None:
    x, y = scores(20)
    row = score_measures(x, y, bootstrap=30, seed=1)
    assert row == json.loads(json.dumps(row)) | {"interval": row["interval"]}
    assert set(NAMES) <= set(row)
    expected = stats.spearmanr(x, y).statistic
    assert row["srcc"] == pytest.approx(expected)
    low, high = row["interval"]["srcc"]
    assert low < row["srcc"] < high
    assert row["n"] == 20


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_model_that_has_diverged_has_no_measure(bad: float) -> None:
    x, y = scores(20)
    x[3] = bad
    row = score_measures(x, y, bootstrap=30, seed=1)
    assert [row[name] for name in NAMES] == [None] * len(NAMES)
    assert row["interval"] == {}
    assert row["n"] == 20
    assert "finite" in row["warnings"][0]


def test_other_mistakes_are_not_hidden() -> None:
    with pytest.raises(EvaluationError):
        score_measures(np.zeros(3), np.zeros(4), bootstrap=0, seed=0)
