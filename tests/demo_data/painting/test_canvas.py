"""Tests of the canvas that scenes are painted on."""

from __future__ import annotations

import numpy as np
import pytest

from cliqa.demo_data.painting.canvas import Canvas, blend, colour, fractal, random_hue

WHITE = colour(1.0, 1.0, 1.0)


def test_a_drawn_disc_covers_its_area() -> None:
    canvas = Canvas.blank(80)
    canvas.draw(np.hypot(canvas.x - 0.5, canvas.y - 0.4) - 0.25, WHITE)
    assert canvas.pixels.mean() == pytest.approx(np.pi * 0.25**2, rel=5e-3)
    rows = (canvas.pixels[..., 0] * canvas.y).sum() / canvas.pixels[..., 0].sum()
    assert rows == pytest.approx(0.4, abs=1e-3)


def test_an_edge_is_one_pixel_soft() -> None:
    canvas = Canvas.blank(10)
    canvas.draw(canvas.x - 0.33, WHITE)
    assert canvas.pixels[0, :, 0].tolist() == pytest.approx(
        [1, 1, 1, 0.3, 0, 0, 0, 0, 0, 0], abs=1e-5
    )


def test_a_part_shares_the_pixels_and_leaves_out_what_lies_outside() -> None:
    canvas = Canvas.blank(10)
    part = canvas.part(0.5, -0.7, 1.8, 0.2)
    assert part.shape == (2, 5)
    part.paint(np.ones(part.shape), WHITE)
    assert canvas.pixels[:2, 5:].min() == 1.0
    assert canvas.pixels.sum() == 2 * 5 * 3
    assert canvas.part(1.2, 0.0, 1.5, 1.0).shape == (10, 0)


def test_half_a_cover_mixes_the_colours() -> None:
    canvas = Canvas.blank(4)
    canvas.paint(np.full((4, 4), 0.5), colour(1.0, 0.5, 0.0))
    assert canvas.pixels[2, 2].tolist() == [0.5, 0.25, 0.0]


@pytest.mark.parametrize("size", [33, 64])
@pytest.mark.parametrize("slope", [0.0, 1.0, 1.7])
def test_a_fractal_has_the_slope_asked_for(size: int, slope: float) -> None:
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)[None, :])
    power = np.zeros((size, size))
    for _ in range(60):
        texture = fractal(size, rng, slope)
        assert texture.mean() == pytest.approx(0.0, abs=1e-5)
        assert texture.std() == pytest.approx(1.0, abs=1e-5)
        power += np.abs(np.fft.fft2(texture)) ** 2
    inside = (frequency > 2.5 / size) & (frequency < 0.4)
    fitted = np.polyfit(np.log(frequency[inside]), 0.5 * np.log(power[inside]), 1)[0]
    assert fitted == pytest.approx(-slope, abs=0.1)


def test_colours_stay_between_their_ends() -> None:
    mixed = blend(colour(0.0, 0.2, 1.0), colour(1.0, 0.4, 0.0), np.array([-1.0, 0.25, 3.0]))
    assert mixed == pytest.approx(np.array([[0, 0.2, 1], [0.25, 0.25, 0.75], [1, 0.4, 0]]))
    hues = np.array([random_hue(np.random.default_rng(k), 0.8, 0.5) for k in range(50)])
    assert hues.max() <= 0.8 + 1e-6
    assert hues.min() >= 0.4 - 1e-6
    assert random_hue(np.random.default_rng(0), 0.7, 0.0).tolist() == pytest.approx([0.7] * 3)
