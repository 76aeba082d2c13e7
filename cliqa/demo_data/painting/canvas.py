"""A square image to paint on: coordinates in 0..1, edges one pixel soft.

A lens and a sensor leave such edges; without them a pristine scene would be aliased, and a blurred
one could not be told from it by its edges.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Canvas:
    """A square image, or a rectangle of it that shares its pixels.

    Attributes:
        pixels: (h, w, 3) float32, linear in 0..1 but not clipped while it is painted.
        y: (h, 1) the pixel centres' places from the top, in 0..1 of the whole image.
        x: (1, w) the pixel centres' places from the left.
        size: The whole image's side in pixels.
    """

    pixels: np.ndarray
    y: np.ndarray
    x: np.ndarray
    size: int

    @classmethod
    def blank(cls, size: int) -> Canvas:
        """Return a black image of `size` pixels a side."""
        line = ((np.arange(size) + 0.5) / size).astype(np.float32)
        return cls(np.zeros((size, size, 3), np.float32), line[:, None], line[None, :], size)

    def part(self, left: float, top: float, right: float, bottom: float) -> Canvas:
        """Return the rectangle between four places; what lies outside the image is left out."""
        rows = self._between(top, bottom)
        columns = self._between(left, right)
        return Canvas(self.pixels[rows, columns], self.y[rows], self.x[:, columns], self.size)

    def _between(self, low: float, high: float) -> slice:
        start, stop = int(np.floor(low * self.size)), int(np.ceil(high * self.size))
        return slice(min(max(start, 0), self.size), min(max(stop, 0), self.size))

    @property
    def shape(self) -> tuple[int, int]:
        """The rectangle's height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def paint(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Lay a colour, (3,) or (h, w, 3), over the share (h, w) of each pixel that is covered."""
        cover = np.broadcast_to(mask, self.shape)[..., None]
        self.pixels[...] += (cover * (colour - self.pixels)).astype(np.float32)

    def draw(self, distance: np.ndarray, colour: np.ndarray) -> None:
        """Paint a shape given by its signed distance (negative inside), in image sides."""
        self.paint(np.clip(0.5 - distance * self.size, 0.0, 1.0), colour)

    def texture(self, rng: np.random.Generator, slope: float) -> np.ndarray:
        """Return a fractal texture (h, w) for this rectangle; see `fractal`."""
        height, width = self.shape
        return fractal(self.size, rng, slope)[:height, :width]


def fractal(size: int, rng: np.random.Generator, slope: float = 1.0) -> np.ndarray:
    """Return a texture whose amplitude falls as 1 / frequency**slope, as in natural images.

    It is float32 (size, size) of mean 0 and standard deviation 1. At slope 0 it is white noise; at
    1 it looks like stone, at 2 like clouds.
    """
    amplitude = _amplitude(size, slope)
    parts = rng.standard_normal((2, *amplitude.shape), dtype=np.float32)
    texture = np.fft.irfft2(amplitude * (parts[0] + 1j * parts[1]), s=(size, size))
    return ((texture - texture.mean()) / texture.std()).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _amplitude(size: int, slope: float) -> np.ndarray:
    """Return the amplitude of each frequency of a real transform, (size, size // 2 + 1)."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf  # no mean
    return (frequency**-slope if slope else np.isfinite(frequency)).astype(np.float32)


def colour(red: float, green: float, blue: float) -> np.ndarray:
    """Return a colour (3,)."""
    return np.array((red, green, blue), dtype=np.float32)


def random_hue(rng: np.random.Generator, value: float, saturation: float) -> np.ndarray:
    """Return a colour (3,) of a random hue, whose brightest channel is `value`.

    Saturation 0 is grey; at 1 the darkest channel can be 0.
    """
    angle = 2.0 * np.pi * (rng.random() + np.arange(3) / 3.0)
    return (value * (1.0 - saturation * (0.5 - 0.5 * np.cos(angle)))).astype(np.float32)


def blend(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return colours (..., 3) between `low` at share 0 and `high` at share 1 (clipped)."""
    return low + np.clip(share, 0.0, 1.0)[..., None] * (high - low)
