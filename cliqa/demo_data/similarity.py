"""How alike two images are: SSIM on luminance, the label of degraded photographs."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from cliqa.utils.errors import DatasetError

_SIGMA, _RADIUS = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2
_LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float64)  # ITU-R BT.601


def luminance(image: np.ndarray) -> np.ndarray:
    """Return the luminance (H, W) in 0..1 of an RGB image (H, W, 3), uint8 or in 0..1."""
    scale = 255.0 if image.dtype == np.uint8 else 1.0
    return np.asarray(image, dtype=np.float64) @ _LUMA / scale


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean structural similarity of two images.

    With the local means m, variances v and covariance c under a Gaussian window of 11 x 11 pixels
    and standard deviation 1.5, at each place where the window lies inside the image::

        (2 m1 m2 + C1) (2 c + C2) / ((m1^2 + m2^2 + C1) (v1 + v2 + C2)),  C1 = 0.01^2, C2 = 0.03^2

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE
    TIP 13(4), 2004, equations 13 to 17, for a range of 1 instead of 255.

    The images are RGB (H, W, 3), uint8 or float in 0..1. The result is in -1..1, and 1 only for
    equal luminance.

    Raises:
        DatasetError: The sizes differ, or are below 11 pixels.

    >>> image = np.random.default_rng(0).random((16, 16, 3))
    >>> round(ssim(image, image), 6)
    1.0
    """
    a, b = luminance(first), luminance(second)
    if a.shape != b.shape or min(a.shape) <= 2 * _RADIUS:
        raise DatasetError(
            f"similarity of images of {a.shape} and {b.shape} pixels: they must be of one size, "
            f"of at least {2 * _RADIUS + 1} pixels a side."
        )
    mean_a, mean_b = _window(a), _window(b)
    spread_a, spread_b = _window(a * a) - mean_a**2, _window(b * b) - mean_b**2
    common = _window(a * b) - mean_a * mean_b
    light = (2.0 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2.0 * common + _C2) / (spread_a + spread_b + _C2)
    return float((light * structure).mean())


def _window(values: np.ndarray) -> np.ndarray:
    """Return the local means (H - 10, W - 10) under the Gaussian window."""
    smooth = ndimage.gaussian_filter(values, _SIGMA, radius=_RADIUS)
    return smooth[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS]
