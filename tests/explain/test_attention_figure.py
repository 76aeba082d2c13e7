"""Maps over images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cliqa.explain.attention_figure import Explanation, draw_attention
from cliqa.utils.errors import ArtifactError


def explanation(peak: float = 1.0, **more: Any) -> Explanation:
    """An image of 4 x 6 pixels with one map, whose first column is not seen."""
    values = np.linspace(-0.5, peak, 24).reshape(4, 6)
    values[:, 0] = np.nan
    image = np.full((4, 6, 3), 100, np.uint8)
    return Explanation(image, "a.png", 0.25, maps={"neck.cbam": values}, **more)


def test_maps_lie_over_the_image_and_leave_out_what_is_not_seen() -> None:
    figure = draw_attention([explanation()])
    image, overlay = figure.axes[0], figure.axes[1]
    assert image.get_title(loc="left") == "a.png\nscore 0.250"
    assert overlay.get_title().strip() == "layer neck.cbam"
    title = "Spatial attention: how much the model weighs each place"
    assert figure.get_suptitle() == title
    grey, colors = overlay.images
    shades: Any = grey.get_array()
    assert shades[0, 0] == pytest.approx(0.35 * 100 / 255)
    assert shades[0, 1] == pytest.approx(100 / 255)
    opacity: Any = colors.get_alpha()
    assert opacity[:, 0].tolist() == [0] * 4
    assert (opacity[:, 1:] > 0).all()
    assert figure.axes[-1].get_xlabel() == "attention\n(dark: not seen)"


def test_colours_mean_the_same_in_every_row() -> None:
    figure = draw_attention([explanation(1.0), explanation(3.0)])
    norms: list[Any] = [axes.images[1].norm for axes in figure.axes if len(axes.images) == 2]
    assert [norm.vmax for norm in norms] == [3.0, 3.0]
    assert norms[0].vmin > -0.5  # the lowest is not seen


def test_grad_cam_has_white_at_zero() -> None:
    figure = draw_attention([explanation(0.2, gradient=True, label="cat")])
    norm: Any = figure.axes[1].images[1].norm
    assert norm.vmin == -norm.vmax
    assert [t.get_text() for t in figure.axes[-1].get_xticklabels()] == ["lowers it", "raises it"]
    title = "Grad-CAM: which places raise or lower the probability of the class"
    assert figure.get_suptitle() == title
    assert figure.axes[0].get_title(loc="left") == "a.png\ncat (0.25)"


def test_weights_of_scales_are_bars() -> None:
    weights = {"neck.fusion": np.array([0.1, 0.2, 0.3, 0.4])}
    axes = draw_attention([explanation(weights=weights)]).axes[2]
    bars: list[Any] = list(axes.patches)
    assert [bar.get_height() for bar in bars] == [0.1, 0.2, 0.3, 0.4]
    assert axes.lines[0].get_ydata() == [0.25, 0.25]
    assert axes.get_xlabel() == "scale, shallow to deep"


def test_needs_an_image() -> None:
    with pytest.raises(ArtifactError, match="there is no image to draw"):
        draw_attention([])
