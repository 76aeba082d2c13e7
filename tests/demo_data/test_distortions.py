"""Tests of the distortions: each a ladder without an end."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.campaigns import CAMPAIGNS
from cliqa.demo_data.distortions import DISTORTIONS, blur, contrast, degrade, to_bytes
from cliqa.utils.errors import DatasetError

STEPS = np.linspace(0.0, 1.0, 6)
SCENES = {c.name: c.scene(100, np.random.default_rng(4)) for c in CAMPAIGNS}
each = pytest.mark.parametrize("kind", sorted(DISTORTIONS))


@each
@pytest.mark.parametrize("scene", sorted(SCENES))
def test_the_error_grows_with_the_severity(kind: str, scene: str) -> None:
    image = SCENES[scene]
    errors = [
        np.square(degrade(image, kind, s, np.random.default_rng(0)) - image).mean() for s in STEPS
    ]
    assert (np.diff(errors) > 0).all()
    assert errors[0] < 4e-3


@each
def test_the_image_stays_and_the_result_fits(kind: str) -> None:
    image = SCENES["eva"].copy()
    for severity in (0.0, 1.0):
        degraded = degrade(image, kind, severity, np.random.default_rng(0))
        assert degraded.shape == image.shape
        assert degraded.dtype == np.float32
        assert degraded.min() >= 0.0
        assert degraded.max() <= 1.0
    assert np.array_equal(image, SCENES["eva"])


def test_blur_spreads_a_point_as_a_gaussian() -> None:
    image = np.zeros((100, 100, 3), np.float32)
    image[50, 50] = 1.0
    blurred = blur(image, 1.0, np.random.default_rng(0))[..., 0].astype(np.float64)
    assert blurred.sum() == pytest.approx(1.0, abs=1e-4)
    assert (blurred.sum(axis=0) * (np.arange(100) - 50) ** 2).sum() == pytest.approx(9.0, rel=0.02)


def test_noise_has_the_spread_it_says() -> None:
    grey = np.full((200, 200, 3), 0.5, np.float32)
    for severity, sigma in ((0.0, 0.01), (0.5, 0.105)):
        noisy = degrade(grey, "noise", severity, np.random.default_rng(0))
        assert noisy.std() == pytest.approx(sigma, rel=0.02)
        assert noisy.mean() == pytest.approx(0.5, abs=1e-3)


def test_contrast_is_stretched_around_the_mean_until_it_burns_out() -> None:
    image = np.full((10, 10, 3), 0.5, np.float32)
    image[:5] -= 0.04
    image[5:] += 0.04
    mild = contrast(image, 0.0, np.random.default_rng(0))
    assert np.unique(mild) == pytest.approx([0.5 - 0.044, 0.5 + 0.044], abs=1e-5)
    assert np.unique(contrast(image, 1.0, np.random.default_rng(0))) == pytest.approx([0.18, 0.82])
    assert set(np.unique(contrast(2 * image - 0.5, 1.0, np.random.default_rng(0)))) == {0.0, 1.0}


def test_bytes_are_rounded() -> None:
    assert to_bytes(np.array([-0.1, 0.0, 0.5, 0.999, 1.0, 1.2])).tolist() == [
        0,
        0,
        128,
        255,
        255,
        255,
    ]


@pytest.mark.parametrize(
    ("kind", "severity", "message"),
    [
        ("blurr", 0.5, "unknown distortion 'blurr'. Known: blur, noise, jpeg, contrast"),
        ("blur", 1.01, r"blur: the severity must be in 0\.\.1, got 1\.01"),
        ("blur", float("nan"), r"blur: the severity must be in 0\.\.1, got nan"),
    ],
)
def test_mistakes_are_named(kind: str, severity: float, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        degrade(SCENES["eva"], kind, severity, np.random.default_rng(0))
