"""Painted garments: ten kinds of silhouettes, some of them hard to tell apart, as in Fashion-MNIST.

A T-shirt differs from a shirt in its buttons and mostly in its sleeves, a pullover from a coat in
the opening, a boot from a sneaker in its shaft: small networks confuse the real ones likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cliqa.demo_data.painting.canvas import fractal

SIZE = 28
"""The side of a painted image in pixels."""

Point = tuple[float, float]
Layer = tuple[np.ndarray, float]
"""A signed distance (28, 28), negative inside, and how bright the shape is beside the cloth."""


@dataclass(frozen=True)
class Plane:
    """Places to measure distances from: right and down, about -1..1 within the image.

    Attributes:
        x: (28, 28) from the left to the right.
        y: (28, 28) from the top to the bottom.
    """

    x: np.ndarray
    y: np.ndarray

    @classmethod
    def loose(cls, rng: np.random.Generator) -> Plane:
        """Return a plane that is shifted, stretched and turned a little."""
        line = (np.arange(SIZE) + 0.5) * 2.0 / SIZE - 1.0
        x, y = np.meshgrid(line, line)
        x, y = (
            axis - shift for axis, shift in zip((x, y), rng.uniform(-0.12, 0.12, 2), strict=True)
        )
        angle = rng.normal(0.0, 0.06)
        turned = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        return cls(*(axis / rng.uniform(0.78, 1.08) for axis in turned))

    def folded(self) -> Plane:
        """Return the plane with its left half laid on the right one: shapes become symmetric."""
        return Plane(np.abs(self.x), self.y)

    def polygon(self, *corners: Point) -> np.ndarray:
        """Return the signed distance from a polygon."""
        nearest = np.full(self.x.shape, np.inf)
        inside = np.zeros(self.x.shape, dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, (*corners[1:], corners[0]), strict=True):
            nearest = np.minimum(nearest, self.stroke((x0, y0), (x1, y1), 0.0))
            if y0 != y1:  # a ray to the left crosses the edge
                crossing = x0 + (self.y - y0) * (x1 - x0) / (y1 - y0)
                inside ^= ((self.y < y0) != (self.y < y1)) & (self.x > crossing)
        return np.where(inside, -nearest, nearest)

    def stroke(self, start: Point, end: Point, radius: float) -> np.ndarray:
        """Return the signed distance from a line with round ends."""
        along = np.subtract(end, start)
        x, y = self.x - start[0], self.y - start[1]
        share = np.clip((x * along[0] + y * along[1]) / max(along @ along, 1e-9), 0.0, 1.0)
        return np.hypot(x - share * along[0], y - share * along[1]) - radius

    def ellipse(self, centre: Point, radii: Point) -> np.ndarray:
        """Return about the signed distance from an ellipse."""
        reach = np.hypot((self.x - centre[0]) / radii[0], (self.y - centre[1]) / radii[1])
        return (reach - 1.0) * min(radii)


def paint_garment(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Return a light garment before a dark background.

    Args:
        kind: 0..9, in the order of Fashion-MNIST's classes.
        rng: The source of its cut, its place, its pattern and the noise.

    Returns:
        uint8 (28, 28).
    """
    plane = Plane.loose(rng)
    cloth = rng.uniform(0.35, 0.95) + _pattern(plane, rng)
    image = np.zeros((SIZE, SIZE))
    for distance, brightness in _CUTS[kind](plane, rng):
        cover = np.clip(0.5 - distance * SIZE / 2.0, 0.0, 1.0)
        image += cover * (np.clip(cloth * brightness, 0.15, 1.0) - image)
    image += rng.normal(0.0, rng.uniform(0.02, 0.07), image.shape)
    return (image.clip(0.0, 1.0) * 255.0).round().astype(np.uint8)


def _pattern(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Return what the cloth's brightness is lighter or darker by: plain, printed or striped."""
    style = rng.choice(("plain", "print", "stripes"), p=(0.5, 0.25, 0.25))
    if style == "plain":
        return 0.03 * fractal(SIZE, rng)
    if style == "print":
        return rng.uniform(0.08, 0.25) * fractal(SIZE, rng)
    across = plane.x if rng.random() < 0.4 else plane.y
    waves = np.sin(across * rng.uniform(8.0, 16.0) + rng.uniform(0.0, 2.0 * np.pi))
    return rng.uniform(0.1, 0.25) * waves


def _top(half: Plane, rng: np.random.Generator, reach: float, hem: float) -> np.ndarray:
    """Return the distance from a garment with sleeves.

    Args:
        half: A folded plane.
        rng: The source of the cut.
        reach: How long the sleeves are: 0 ends at the shoulder, 1 at the hip.
        hem: How far down it goes.
    """
    width = rng.uniform(0.36, 0.46)
    body = half.polygon((-1.0, -0.8), (0.42, -0.74), (width, 0.0), (width + 0.03, hem), (-1.0, hem))
    side = rng.uniform(0.25, 0.42)
    cuff = (0.44 + side * reach**0.5, -0.55 + 1.2 * reach)
    sleeve = half.stroke((0.36, -0.58), cuff, rng.uniform(0.11, 0.16))
    neck = half.ellipse((0.0, -0.84), (rng.uniform(0.14, 0.24), rng.uniform(0.06, 0.2)))
    return np.maximum(np.minimum(body, sleeve), -neck)


def _t_shirt(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    cut = _top(plane.folded(), rng, rng.uniform(0.08, 0.25), rng.uniform(0.7, 0.9))
    chest = plane.ellipse((0.0, -0.1), (0.2, 0.18))
    return [(cut, 1.0), (chest, rng.choice((1.0, 1.0, 0.6, 1.5)))]


def _trousers(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    half, foot, end = plane.folded(), rng.uniform(0.25, 0.5), rng.uniform(0.75, 0.95)
    inner = rng.uniform(0.02, foot - 0.16)
    outline = ((-1.0, -0.88), (0.3, -0.88), (0.38, -0.4), (foot, end), (inner, end))
    return [(half.polygon(*outline, (0.01, -0.3), (-1.0, -0.3)), 1.0)]


def _pullover(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    hem = rng.uniform(0.55, 0.78)
    cut = _top(plane.folded(), rng, rng.uniform(0.8, 1.05), hem)
    band = np.maximum(cut, hem - 0.16 - plane.y)
    return [(cut, 1.0), (band, rng.uniform(0.7, 1.0))]


def _dress(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    half, waist, hem = plane.folded(), rng.uniform(0.16, 0.27), rng.uniform(0.24, 0.55)
    body = half.polygon((-1.0, -0.8), (0.26, -0.86), (waist, -0.2), (hem, 0.92), (-1.0, 0.92))
    if rng.random() < 0.5:
        cuff = (rng.uniform(0.35, 0.5), rng.uniform(-0.5, 0.1))
        body = np.minimum(body, half.stroke((0.22, -0.7), cuff, 0.09))
    neck = half.ellipse((0.0, -0.9), (0.14, rng.uniform(0.1, 0.25)))
    return [(np.maximum(body, -neck), 1.0)]


def _coat(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    cut = _top(plane.folded(), rng, rng.uniform(0.8, 1.05), rng.uniform(0.82, 1.0))
    middle = rng.uniform(-0.06, 0.06)
    opening = np.maximum(plane.stroke((middle, -0.8), (middle, 1.0), rng.uniform(0.05, 0.08)), cut)
    pocket = plane.folded().stroke((0.2, 0.35), (0.3, 0.3), 0.04)
    return [(cut, 1.0), (opening, rng.uniform(0.1, 0.45)), (pocket, rng.choice((1.0, 0.6)))]


def _sandal(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    heel, toe = rng.uniform(0.02, 0.5), rng.uniform(0.5, 0.6)
    top = toe - heel
    sole = plane.polygon(
        (-0.9, top), (-0.3, top), (0.3, toe - 0.08), (0.92, toe - 0.08), (0.92, toe), (0.2, toe),
        (-0.4, top + 0.12), (-0.75, toe), (-0.85, toe),
    )  # fmt: skip
    layers: list[Layer] = [(sole, 1.0)]
    for start in rng.uniform(-0.8, 0.5, int(rng.integers(2, 5))):
        height = rng.uniform(0.25, 0.5)
        foot = (start, top + 0.05 if start < -0.2 else toe - 0.08)
        layers.append((plane.stroke(foot, (start + 0.3, foot[1] - height), 0.05), 0.9))
    return layers


def _shirt(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    reach = rng.uniform(0.25, 0.85)
    cut = _top(plane.folded(), rng, reach, rng.uniform(0.75, 0.9))
    buttons = plane.stroke((0.0, -0.6), (0.0, 0.75), 0.07)
    dots = np.maximum(buttons, 0.08 * np.cos((plane.y + 0.6) * 2.0 * np.pi / 0.28))
    collar = plane.folded().stroke((0.02, -0.52), (0.24, -0.8), 0.08)
    tone = rng.choice((0.4, 1.7))
    return [(cut, 1.0), (dots, tone), (collar, tone)]


def _sneaker(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    heel, tongue, toe = rng.uniform((-0.25, -0.4, 0.12), (0.05, -0.15, 0.3))
    upper = plane.polygon(
        (-0.9, heel), (-0.55, heel + 0.1), (-0.15, tongue), (0.3, toe - 0.12), (0.92, toe),
        (0.94, 0.5), (-0.92, 0.5),
    )  # fmt: skip
    sole = plane.stroke((-0.86, 0.48), (0.88, 0.48), rng.uniform(0.06, 0.12))
    stripe = plane.stroke((-0.3, 0.3), (rng.uniform(-0.1, 0.2), 0.0), 0.05)
    return [(upper, 1.0), (sole, rng.uniform(0.5, 1.5)), (stripe, rng.choice((0.5, 1.0, 1.6)))]


def _bag(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    top, width, lower = rng.uniform((-0.45, 0.55, -0.12), (-0.05, 0.9, 0.12))
    body = plane.folded().polygon((-1.0, top), (width, top), (width + lower, 0.78), (-1.0, 0.78))
    arc = np.abs(plane.ellipse((0.0, top), (0.7 * width, rng.uniform(0.2, 0.75)))) - 0.05
    clasp = plane.ellipse((0.0, top + 0.2), (0.12, 0.08))
    handle = np.maximum(arc, plane.y - top)
    return [(handle, 0.9), (body, 1.0), (clasp, rng.choice((0.5, 1.0, 1.5)))]


def _boot(plane: Plane, rng: np.random.Generator) -> list[Layer]:
    top, front, toe = rng.uniform((-0.92, -0.15, 0.15), (-0.35, 0.15, 0.35))
    heel = rng.uniform(0.0, 0.2)
    upper = plane.polygon(
        (-0.75, top), (front - 0.05, top), (front, 0.0), (0.9, toe), (0.92, 0.62), (0.1, 0.62),
        (-0.2, 0.62 - heel), (-0.4, 0.62 - heel), (-0.45, 0.62), (-0.8, 0.62), (-0.78, 0.1),
    )  # fmt: skip
    sole = plane.stroke((0.1, 0.58), (0.86, 0.58), 0.06)
    return [(upper, 1.0), (sole, rng.uniform(0.5, 1.3))]


_CUTS: tuple[Callable[[Plane, np.random.Generator], list[Layer]], ...] = (
    _t_shirt, _trousers, _pullover, _dress, _coat, _sandal, _shirt, _sneaker, _bag, _boot,
)  # fmt: skip
"""By class."""
