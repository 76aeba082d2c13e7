"""Painted objects of a few classes, whose look drifts as time goes by."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cliqa.demo_data.painting.canvas import Canvas, blend, colour, fractal

Shape = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""From places (h, w) relative to the middle, and a line's half width, to a signed distance."""


def _disc(x: np.ndarray, y: np.ndarray, line: float) -> np.ndarray:
    return np.hypot(x, y) - 0.9


def _square(x: np.ndarray, y: np.ndarray, line: float) -> np.ndarray:
    return np.maximum(np.abs(x), np.abs(y)) - 0.75


def _triangle(x: np.ndarray, y: np.ndarray, line: float) -> np.ndarray:
    return np.maximum(0.87 * np.abs(x) - 0.5 * y, y) - 0.45


def _ring(x: np.ndarray, y: np.ndarray, line: float) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.75) - line


def _cross(x: np.ndarray, y: np.ndarray, line: float) -> np.ndarray:
    bars = np.minimum(np.abs(x), np.abs(y)) - line
    return np.maximum(bars, np.maximum(np.abs(x), np.abs(y)) - 0.9)


def _frame(x: np.ndarray, y: np.ndarray, line: float) -> np.ndarray:
    return np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.7) - line


SHAPES: dict[str, Shape] = {
    "disc": _disc,
    "square": _square,
    "cross": _cross,
    "triangle": _triangle,
    "ring": _ring,
    "frame": _frame,
}
TEXTURES = ("plain", "striped", "chequered")

CLASSES = tuple(f"{texture}_{shape}" for texture in TEXTURES for shape in SHAPES)
"""The classes that can be painted."""


def paint_object(label: str, size: int, time: float, rng: np.random.Generator) -> np.ndarray:
    """Paint an object of a class as it looks at some time.

    With time the object's hue turns, its outline grows from fine to thick, the background gets
    lighter, and grain comes up: what a network has learnt at one time holds for the times
    around it. Time 0 is the beginning; 1 looks quite different.

    Returns:
        uint8 (size, size, 3).
    """
    texture, shape = label.split("_")
    canvas = Canvas.blank(size)
    ground = 0.15 + 0.25 * time + 0.05 * rng.standard_normal()
    shade = (0.06 + 0.03 * time) * fractal(size, rng, 1.0)
    canvas.paint(np.ones((1, 1)), colour(ground, ground, ground) + shade[..., None])
    angle = rng.uniform(-0.3, 0.3)
    radius = rng.uniform(0.3, 0.4)
    middle = rng.uniform(0.44, 0.56, 2)
    across, down = canvas.x - middle[0], canvas.y - middle[1]
    x = (np.cos(angle) * across + np.sin(angle) * down) / radius
    y = (np.cos(angle) * down - np.sin(angle) * across) / radius
    distance = SHAPES[shape](x, y, 0.14 + 0.15 * time) * radius
    main, other = _colours(time, rng)
    canvas.draw(distance, blend(main, other, _pattern(texture, x, y)))
    grain = (0.02 + 0.03 * time) * rng.standard_normal(canvas.pixels.shape)
    return np.clip(255.0 * (canvas.pixels + grain), 0.0, 255.0).round().astype(np.uint8)


def _colours(time: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an object's colour and its pattern's, (3,) each."""
    turn = 0.4 * time + 0.04 * rng.standard_normal()
    hue = 0.5 + 0.5 * np.cos(2.0 * np.pi * (turn + np.arange(3) / 3.0))
    value = 0.9 - 0.2 * time
    main = (value * (0.35 + 0.65 * hue)).astype(np.float32)
    return main, (0.35 * main).astype(np.float32)


def _pattern(texture: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how much of the pattern's colour each pixel has, (h, w) in 0..1."""
    if texture == "plain":
        return np.zeros(np.broadcast_shapes(x.shape, y.shape))
    waves = np.sin(3.0 * np.pi * x)
    if texture == "chequered":
        waves = waves * np.sin(3.0 * np.pi * y)
    return 0.5 + 0.5 * np.tanh(4.0 * waves)
