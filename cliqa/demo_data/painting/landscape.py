"""Landscapes: wooded hills under a clouded sky."""

from __future__ import annotations

import numpy as np

from cliqa.demo_data.painting.canvas import Canvas, blend, colour, fractal

_SKIES = (
    (colour(0.22, 0.45, 0.80), colour(0.78, 0.88, 0.96)),  # noon
    (colour(0.25, 0.25, 0.50), colour(0.98, 0.66, 0.38)),  # sunset
    (colour(0.45, 0.60, 0.78), colour(0.95, 0.90, 0.82)),  # morning
)
"""Colours at the top and at the horizon."""

_GROUNDS = (colour(0.20, 0.38, 0.12), colour(0.50, 0.42, 0.18), colour(0.14, 0.32, 0.42))
_CLOUD = colour(0.97, 0.96, 0.95)


def landscape(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return three rows of hills, two wooded, under a sky of one of three hours; see `Scene`."""
    canvas = Canvas.blank(size)
    top, horizon = _SKIES[rng.integers(len(_SKIES))]
    canvas.pixels[...] = blend(top, horizon, canvas.y / 0.6)
    clouds = np.clip(0.6 * (fractal(size, rng, 1.7) + rng.uniform(-0.8, 0.5)), 0.0, 1.0)
    canvas.paint(0.85 * clouds, _CLOUD)
    ground = _GROUNDS[rng.integers(len(_GROUNDS))] * rng.uniform(0.8, 1.2)
    base = rng.uniform(0.40, 0.55)
    for row in range(3):
        haze = 0.3 * (2 - row)  # the air between
        skyline = base + 0.17 * row + _hills(size, rng, 0.055 - 0.012 * row)
        if row:
            skyline = skyline - _trees(size, rng, 0.06 + 0.06 * row)
        light = np.clip(1.0 + (0.10 + 0.06 * row) * fractal(size, rng, 1.0), 0.2, 2.0)
        tone = (1.0 - haze) * (0.7 + 0.5 * haze) * ground + 0.8 * haze * horizon
        canvas.draw(skyline - canvas.y, tone * light[..., None])
    return np.clip(canvas.pixels, 0.0, 1.0)


def _hills(size: int, rng: np.random.Generator, height: float) -> np.ndarray:
    """Return a skyline (1, size) around 0: waves with a falling amplitude."""
    waves = np.arange(1, 12)
    phase = 2.0 * np.pi * (np.outer(waves, np.arange(size) / size) + rng.random((11, 1)))
    amplitude = rng.uniform(0.5, 1.5, 11) / waves**1.3
    return (height * amplitude @ np.sin(phase)).astype(np.float32)[None, :]


def _trees(size: int, rng: np.random.Generator, height: float) -> np.ndarray:
    """Return how far conifers rise over the skyline, (1, size)."""
    x = (np.arange(size) + 0.5) / size
    count = rng.integers(4, 10)
    rise = height * rng.uniform(0.5, 1.5, (count, 1))
    cones = np.maximum(rise - 3.0 * np.abs(x - rng.random((count, 1))), 0.0).max(axis=0)
    branches = 1.0 - 0.25 * (np.sin(190.0 * x) > 0.0)
    return (cones * branches).astype(np.float32)[None, :]
