"""The logistic fit: data that the usual start fails on, and what must not be hidden."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import pytest
from scipy.special import expit

from cliqa.evaluation.functional import plcc, rmse
from cliqa.evaluation.logistic import (
    LogisticFit,
    five_parameters,
    four_parameters,
    logistic_fit,
    plcc_fit,
    rmse_fit,
)

FORMS: list[Literal[4, 5]] = [4, 5]

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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ORDINARY)
def test_fits_ordinary_data_at_least_as_well_as_a_line(name: str, form: Literal[4, 5]) -> None:
    x, y = ORDINARY[name]
    raw, (fitted, reason) = plcc(x, y), plcc_fit(x, y, form)
    assert reason is None
    assert fitted is not None
    assert raw is not None
    assert fitted >= raw - 1e-4


@pytest.mark.parametrize("form", FORMS)
def test_finds_the_logistic_that_made_the_data(form: Literal[4, 5]) -> None:
    x, y = ORDINARY["sigmoid"]
    fit = logistic_fit(x, y, form)
    np.testing.assert_allclose(fit(x), y, atol=1e-6)
    np.testing.assert_allclose(fit([0.0, 0.5, 1.0]), 1 + 4 * expit([-6.0, 0, 6]), atol=1e-5)
    assert plcc_fit(x, y, form)[0] == pytest.approx(1.0, abs=1e-9)
    assert rmse_fit(x, y, form)[0] == pytest.approx(0.0, abs=1e-6)


def test_curves_are_the_published_formulas() -> None:
    z = np.array([-1.0, 0.3, 2.0])
    four = (5 - 1) / (1 + np.exp(-(z - 0.2) / 0.7)) + 1
    np.testing.assert_allclose(four_parameters(z, 5, 1, 0.2, 0.7), four, rtol=1e-12)
    five = 3 * (0.5 - 1 / (1 + np.exp(2 * (z - 0.2)))) + 0.5 * z + 4
    np.testing.assert_allclose(five_parameters(z, 3, 2, 0.2, 0.5, 4), five, rtol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_refuses_to_hide_predictions_that_run_against_the_scores(form: Literal[4, 5]) -> None:
    x, y = -X, X + 0.1 * NOISE
    fit = logistic_fit(x, y, form)
    assert fit.flipped
    value, reason = plcc_fit(x, y, form)
    assert value is None
    assert reason is not None
    assert "raw PLCC -0.9" in reason
    assert "a fitted PLCC of 0.9" in reason
    assert rmse_fit(x, y, form) == (None, reason)


@pytest.mark.parametrize("form", FORMS)
def test_says_why_there_is_no_fit(form: Literal[4, 5]) -> None:
    assert plcc_fit([1, 2, 3, 4], [1, 2, 3, 5], form) == (
        None,
        "a logistic fit needs 5 images, there are 4",
    )
    assert plcc_fit([1.0] * 9, range(9), form) == (None, "constant prediction")
    assert rmse_fit(range(9), [1.0] * 9, form) == (None, "constant target")
    assert "two images" in (plcc_fit([], [], form)[1] or "")


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


def test_rmse_of_the_fit_is_in_the_targets_units() -> None:
    x, y = ORDINARY["scores of 0..100"]
    by_hand = rmse(logistic_fit(x, y)(x), y)
    value, _ = rmse_fit(x, y)
    assert value == by_hand
    assert value is not None
    assert 4 < value < 6  # the noise is 5
    in_percent, _ = rmse_fit(x, y / 100)
    assert in_percent == pytest.approx(value / 100, rel=1e-4)


def test_refuses_another_form_and_a_missing_fit() -> None:
    with pytest.raises(ValueError, match="form must be 4 or 5 parameters, got 3"):
        logistic_fit([1, 2], [1, 2], 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no logistic fit: constant target"):
        LogisticFit(4, reason="constant target")([1, 2])
