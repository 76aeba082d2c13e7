"""Tests of the structural similarity against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.similarity import luminance, ssim
from cliqa.utils.errors import DatasetError


def by_definition(first: np.ndarray, second: np.ndarray) -> float:
    """SSIM with loops over the places and an explicit window."""
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / np.outer(line, line).sum()
    a, b = (image @ (0.299, 0.587, 0.114) for image in (first, second))
    values = []
    for top in range(a.shape[0] - 10):
        for left in range(a.shape[1] - 10):
            p, q = a[top : top + 11, left : left + 11], b[top : top + 11, left : left + 11]
            m, n = (window * p).sum(), (window * q).sum()
            v, w = (window * (p - m) ** 2).sum(), (window * (q - n) ** 2).sum()
            c = (window * (p - m) * (q - n)).sum()
            light = (2 * m * n + 1e-4) / (m**2 + n**2 + 1e-4)
            values.append(light * (2 * c + 9e-4) / (v + w + 9e-4))
    return float(np.mean(values))


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    first = rng.random((15, 18, 3))
    return first, np.clip(0.7 * first + 0.3 * rng.random((15, 18, 3)), 0.0, 1.0)


def test_it_equals_the_definition(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert ssim(*pair) == pytest.approx(by_definition(*pair), abs=1e-9)
    assert 0.2 < ssim(*pair) < 0.99


def test_it_is_symmetric_and_1_for_equal_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = pair
    assert ssim(first, second) == pytest.approx(ssim(second, first), abs=1e-12)
    assert ssim(first, first) == pytest.approx(1.0, abs=1e-12)
    assert ssim(first, 1.0 - first) < 0.0


def test_bytes_and_floats_are_on_one_scale() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (12, 13, 3), dtype=np.uint8)
    assert luminance(pixels) == pytest.approx(luminance(pixels / 255.0))
    assert luminance(np.full((1, 1, 3), 255, np.uint8)) == pytest.approx(1.0)
    assert ssim(pixels, pixels / 255.0) == pytest.approx(1.0, abs=1e-12)


def test_sizes_must_agree_and_hold_a_window() -> None:
    with pytest.raises(DatasetError, match=r"images of \(12, 12\) and \(12, 13\) pixels"):
        ssim(np.zeros((12, 12, 3)), np.zeros((12, 13, 3)))
    with pytest.raises(DatasetError, match="of at least 11 pixels a side"):
        ssim(np.zeros((10, 30, 3)), np.zeros((10, 30, 3)))
