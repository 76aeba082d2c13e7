"""The logistic fit: data that the usual start fails on, and what must not be hidden."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.special import expit

from cliqa.evaluation.functional import plcc, rmse
from cliqa.evaluation.logistic import logistic, logistic_fit

X = np.random.default_rng(0).random(300)
NOISE = np.random.default_rng(1).normal(size=300)

ORDINARY = {
    "linear onto 1..5": (X, 1 + 4 * X),
    "linear with noise": (X, 1 + 4 * X + 0.5 * NOISE),
    "sigmoid": (X, 1 + 4 * expit(12 * (X - 0.5))),
    "tiny predictions": (1e-5 * X, X + 0.1 * NOISE),
    "huge predictions": (1e4 * X + 1e6, X + 0.1 * NOISE),
    "scores of 0..100": (X, 100 * X**3 + 5 * NOISE),
    "bent": (np.exp(8 * X), X),
    "outlier": (np.r_[X, 1e6], np.r_[X, 1]),
    "two values": (np.where(X > 0.5, 1.0, 0.0), X),
    "five images": (X[:5], X[:5] ** 2),
}


@pytest.fixture(autouse=True)
def _no_warning() -> object:
    """A fit that fails says so in its reason, not on the console."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("name", ORDINARY)
def test_fits_ordinary_data_at_least_as_well_as_a_line(name: str) -> None:
    x, y = ORDINARY[name]
    fit = logistic_fit(x, y)
    assert fit.reason is None
    raw, fitted = plcc(x, y), plcc(fit(x), y)
    assert fitted is not None
    assert raw is not None
    assert fitted >= raw - 1e-4


def test_finds_the_logistic_that_made_the_data() -> None:
    x, y = ORDINARY["sigmoid"]
    fit = logistic_fit(x, y)
    np.testing.assert_allclose(fit(x), y, atol=1e-6)
    np.testing.assert_allclose(fit([0.0, 0.5, 1.0]), 1 + 4 * expit([-6.0, 0, 6]), atol=1e-5)
    assert plcc(fit(x), y) == pytest.approx(1.0, abs=1e-9)
    assert rmse(fit(x), y) == pytest.approx(0.0, abs=1e-6)


def test_the_curve_is_the_published_formula() -> None:
    z = np.array([-1.0, 0.3, 2.0])
    four = (5 - 1) / (1 + np.exp(-(z - 0.2) / 0.7)) + 1
    np.testing.assert_allclose(logistic(z, 5, 1, 0.2, 0.7), four, rtol=1e-12)


def test_refuses_to_hide_predictions_that_run_against_the_scores() -> None:
    x, y = -X, X + 0.1 * NOISE
    fit = logistic_fit(x, y)
    assert fit.reason is not None
    assert "raw PLCC -0.9" in fit.reason
    assert "a fitted PLCC of 0.9" in fit.reason


def test_says_why_there_is_no_fit() -> None:
    assert logistic_fit([1, 2, 3, 4], [1, 2, 3, 5]).reason == (
        "a logistic fit needs 5 images, there are 4"
    )
    assert logistic_fit([1.0] * 9, range(9)).reason == "constant prediction"
    assert logistic_fit(range(9), [1.0] * 9).reason == "constant target"
    assert "two images" in (logistic_fit([], []).reason or "")
    with pytest.raises(ValueError, match="no logistic fit: constant target"):
        logistic_fit(range(9), [1.0] * 9)([1, 2])


def test_random_data_never_fails_without_a_reason() -> None:
    for seed in range(60):
        random = np.random.default_rng(seed)
        n = int(random.integers(5, 60))
        x = random.normal(size=n) * 10.0 ** random.integers(-6, 6)
        y = random.choice([0, 0.3, 1]) * x / x.std() + random.normal(size=n)
        fit = logistic_fit(x, y)
        assert fit.parameters is not None
        raw = plcc(x, y)
        fitted = plcc(fit(x), y)
        assert raw is not None
        assert fitted is not None
        assert fitted >= abs(raw) - 1e-3


def generated(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return predictions and targets of a random relation, noise, scale and number of images."""
    random = np.random.default_rng(seed)
    n = int(random.integers(8, 200))
    x = random.random(n) if seed % 3 else random.normal(size=n)
    curves = [x, expit(12 * (x - 0.5)), expit(30 * (x - 0.7)), np.exp(4 * x), np.log1p(20 * abs(x))]
    y = curves[seed % 5] * random.choice([1, 4, 100]) + random.choice([0.05, 1]) * random.normal(
        size=n
    )
    return x * 10.0 ** random.integers(-2, 3) + random.choice([0, 1, 50]), y


STARTS = {
    "pyiqa": lambda x, y: (y.max(), y.min(), x.mean(), x.std() / 4),
    "VIDEVAL": lambda x, y: (y.max(), y.min(), x.mean(), 0.5),
    "EGVQA": lambda x, y: (y.max(), y.min(), x.mean(), 0.1),
}
"""The published starts of the four parameters; the optimizer behind them is scipy's curve_fit."""


@pytest.mark.parametrize("start", STARTS)
def test_never_above_the_error_from_a_published_start(start: str) -> None:
    ended = 0
    for seed in range(40):
        x, y = generated(seed)
        own = rmse(logistic_fit(x, y)(x), y)
        assert own is not None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found, _ = curve_fit(logistic, x, y, p0=STARTS[start](x, y), maxfev=2000)
        except RuntimeError:  # it did not end
            continue
        ended += 1
        mapped = logistic(x, *found)
        agrees = np.dot(mapped - mapped.mean(), x) * np.dot(y - y.mean(), x) >= 0
        if agrees:  # a curve against the correlation is no mapping
            assert own <= np.sqrt(np.mean((mapped - y) ** 2)) * (1 + 1e-5), seed
    assert ended >= 20


def test_tails_and_far_middles_lose_no_digits() -> None:
    """Exponentials, which are logistics whose middle lies far beyond the data, on either side."""
    for x, y in ((X, np.exp(6 * X)), (X, -np.exp(-6 * X))):
        fit = logistic_fit(x, y)
        np.testing.assert_allclose(fit(x), y, atol=1e-3 * y.std())


def test_rmse_of_the_fit_is_in_the_targets_units() -> None:
    x, y = ORDINARY["scores of 0..100"]
    value = rmse(logistic_fit(x, y)(x), y)
    assert value is not None
    assert 4 < value < 6  # the noise is 5
    in_percent = rmse(logistic_fit(x, y / 100)(x), y / 100)
    assert in_percent == pytest.approx(value / 100, rel=1e-4)


@pytest.mark.parametrize("seed", [0, 290, 340])
def test_a_slight_bend_of_a_line_is_found(seed: int) -> None:
    """No curve of a grid of slight bends leaves less error."""
    x, y = generated(seed)
    z = (x - x.mean()) / x.std()
    left = []
    for width in np.geomspace(3, 1000, 40):
        for middle in np.linspace(-20, 20, 21) * width:
            side = 1 if middle > 0 else -1  # the end that is small: it loses no digits
            shape = side * expit(side * (z - middle) / width)
            shape = (shape - shape.mean()) / shape.std()
            rest = y - y.mean() - np.mean(shape * y) * shape
            left.append(float(np.sqrt(np.mean(rest**2))))
    own = rmse(logistic_fit(x, y)(x), y)
    assert own is not None
    assert own <= min(left) * (1 + 1e-6)
