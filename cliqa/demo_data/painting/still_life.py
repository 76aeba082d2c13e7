"""Still lifes: patterned round bodies on a table before a plain wall."""

from __future__ import annotations

import numpy as np

from cliqa.demo_data.painting.canvas import Canvas, random_hue


def still_life(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return four to seven shaded bodies on a woven cloth; see `Scene`."""
    canvas = Canvas.blank(size)
    x, y = canvas.x, canvas.y
    wall = random_hue(rng, rng.uniform(0.25, 0.7), 0.55)
    cloth = random_hue(rng, rng.uniform(0.5, 0.9), 0.35)
    light = 1.0 - 0.6 * np.hypot(x - rng.uniform(0.2, 0.8), y - rng.uniform(0.0, 0.4))
    canvas.pixels[...] = wall * light[..., None]
    edge = rng.uniform(0.55, 0.68)
    weave = 0.06 * np.sin(rng.uniform(90, 200) * x) * np.sin(rng.uniform(90, 200) * y)
    lit = light + weave + 0.04 * canvas.texture(rng, 0.5)
    canvas.draw(edge - y, cloth * lit[..., None])
    for _ in range(rng.integers(4, 8)):
        _body(canvas, rng.uniform(0.1, 0.9), edge + rng.uniform(-0.08, 0.22), rng)
    return np.clip(canvas.pixels, 0.0, 1.0)


def _body(canvas: Canvas, left: float, top: float, rng: np.random.Generator) -> None:
    """Paint one ellipsoid around (left, top), with its shadow and its highlight."""
    width = rng.uniform(0.08, 0.19)
    height = width * rng.uniform(0.8, 1.5)
    part = canvas.part(left - 1.5 * width, top - height, left + 2.2 * width, top + 2.0 * height)
    u, v = (part.x - left) / width, (part.y - top) / height
    fall = np.hypot((u - 0.35) / 1.3, (v - 1.0) * height / (0.35 * width))
    part.pixels[...] *= 1.0 - 0.55 * np.clip(1.3 - fall, 0.0, 1.0)[..., None]
    depth = np.sqrt(np.clip(1.0 - u**2 - v**2, 0.0, 1.0))
    shade = np.clip(0.25 + 0.75 * (0.75 * depth - 0.4 * u - 0.5 * v), 0.08, 1.1)
    shade = shade * (1.0 - _pattern(part, v, depth, rng))
    paint = random_hue(rng, rng.uniform(0.65, 1.0), rng.uniform(0.6, 0.95))
    gloss = 0.8 * np.exp(-18.0 * ((u + 0.35) ** 2 + (v + 0.4) ** 2))
    part.draw((np.hypot(u, v) - 1.0) * width, paint * shade[..., None] + gloss[..., None])


def _pattern(
    part: Canvas, v: np.ndarray, depth: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return how much darker a body is at each pixel: stripes, speckles or a mottled skin."""
    kind = rng.integers(3)
    if kind == 0:
        return 0.5 * (np.sin(rng.uniform(9, 18) * v + 2.0 * (1.0 - depth)) > 0.2)
    if kind == 1:
        return 0.6 * (part.texture(rng, 0.3) > 1.1)
    return 0.12 * np.clip(part.texture(rng, 0.8), -1.0, 1.0)
