"""Streets: house fronts with windows, lettered signs and a road."""

from __future__ import annotations

import numpy as np

from cliqa.demo_data.painting.canvas import Canvas, colour, random_hue

_FRONTS = (
    colour(0.80, 0.72, 0.58),  # sandstone
    colour(0.62, 0.34, 0.26),  # brick
    colour(0.66, 0.68, 0.70),  # concrete
    colour(0.85, 0.80, 0.70),  # plaster
    colour(0.48, 0.54, 0.60),  # slate
)
_SKY, _ASPHALT = colour(0.93, 0.98, 1.05), colour(0.30, 0.30, 0.32)
_MARKING, _PAPER = colour(0.90, 0.90, 0.82), colour(0.96, 0.95, 0.88)
_GLASS = colour(0.80, 0.95, 1.10)


def street(size: int, rng: np.random.Generator) -> np.ndarray:
    """Return houses under a grey sky, with one or two signs before them; see `Scene`."""
    canvas = Canvas.blank(size)
    x, y = canvas.x, canvas.y
    canvas.pixels[...] = _SKY * (rng.uniform(0.55, 0.9) * (1.0 - 0.15 * y))[..., None]
    left, road = -0.05, rng.uniform(0.78, 0.88)
    while left < 1.0:
        right = left + rng.uniform(0.2, 0.42)
        _house(canvas, left, right, rng.uniform(0.05, 0.32), rng)
        left = right
    canvas.draw(road - y, _ASPHALT * (1.0 + 0.12 * canvas.texture(rng, 0.2))[..., None])
    dashed = np.sin(30.0 * x + rng.uniform(0.0, 6.0)) > 0.0
    canvas.paint((np.abs(y - road - 0.08) < 0.012) & dashed, _MARKING)
    for _ in range(rng.integers(1, 3)):
        _sign(canvas, rng.uniform(0.02, 0.6), rng.uniform(0.3, road - 0.22), rng)
    return np.clip(canvas.pixels, 0.0, 1.0)


def _house(
    canvas: Canvas, left: float, right: float, roof: float, rng: np.random.Generator
) -> None:
    """Paint one front, plaster or bricks, with a grid of framed windows."""
    part = canvas.part(left - 0.01, roof - 0.01, right + 0.01, 1.0)
    x, y = part.x, part.y
    outside = np.maximum(np.maximum(left - x, x - right), roof - y)
    tone = _FRONTS[rng.integers(len(_FRONTS))] * rng.uniform(0.75, 1.1)
    light = 1.0 + 0.06 * part.texture(rng, 0.4)
    if rng.random() < 0.5:  # rows of bricks, every other one shifted
        shift = 0.5 * (np.floor(33.0 * y) % 2.0)
        light = light * (1.0 - 0.25 * ((33.0 * y % 1.0 < 0.25) | ((16.0 * x + shift) % 1.0 < 0.12)))
    part.draw(outside, tone * light[..., None])
    pitch_x, pitch_y = (right - left) / rng.integers(2, 5), 1.0 / rng.uniform(6.0, 10.0)
    u, v = (x - left) / pitch_x % 1.0, (y - roof - 0.03) / pitch_y % 1.0
    hole = np.maximum((np.abs(u - 0.5) - 0.28) * pitch_x, (np.abs(v - 0.5) - 0.3) * pitch_y)
    hole = np.maximum(hole, outside + 0.01)
    reflection = rng.uniform(0.08, 0.3) + 0.25 * (u < 0.8 * v)
    part.draw(hole - 0.008, np.clip(1.5 * tone, 0.0, 1.0))
    part.draw(hole + 0.004, _GLASS * reflection[..., None].astype(np.float32))


def _sign(canvas: Canvas, left: float, top: float, rng: np.random.Generator) -> None:
    """Paint a board with two lines of made-up letters, 3 x 5 cells each."""
    letters, cell = int(rng.integers(4, 8)), rng.uniform(0.010, 0.018)
    rows, columns = 15, 4 * letters + 3
    part = canvas.part(left - 0.01, top - 0.01, left + columns * cell, top + rows * cell)
    u, v = (part.x - left) / cell, (part.y - top) / cell
    board = np.maximum(np.abs(u - columns / 2) - columns / 2, np.abs(v - rows / 2) - rows / 2)
    dark = random_hue(rng, 0.35, 0.8)
    ink, paper = (dark, _PAPER) if rng.random() < 0.5 else (_PAPER, dark)
    part.draw(board * cell, paper)
    letter = np.zeros((rows, columns), dtype=bool)
    for line in (2, 8):
        for place in range(letters):
            letter[line : line + 5, 2 + 4 * place : 5 + 4 * place] = rng.random((5, 3)) < 0.6
    row = np.clip(v, 0, rows - 1).astype(int)
    column = np.clip(u, 0, columns - 1).astype(int)
    part.paint(letter[row, column] & (board < 0.0), ink)
