"""Figures as images of the page, and the places of their points in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from cliqa.visualization.style import DRAWING

P = ParamSpec("P")

DPI = 160
"""Pixels per inch: sharp on screens of two pixels a point."""


def drawn(draw: Callable[P, Figure], *args: P.args, **kwargs: P.kwargs) -> Image.Image:
    """Return what a drawing function draws, as an image.

    matplotlib is not safe in threads: one figure is drawn at a time.
    """
    with DRAWING:
        return picture_of(draw(*args, **kwargs))


def picture_of(figure: Figure, dpi: int = DPI) -> Image.Image:
    """Return a figure as an RGB image."""
    with DRAWING:
        figure.set_dpi(dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


@dataclass(frozen=True)
class Spots:
    """The points of a figure that can be clicked.

    Attributes:
        places: Their pixels in the image, (N, 2): from the left and from the top.
    """

    places: np.ndarray

    def nearest(self, x: float, y: float, reach: float = 24.0) -> int | None:
        """Return the point nearest to a pixel, None where there is none within `reach` pixels."""
        if not len(self.places):
            return None
        apart = np.hypot(*(self.places - (x, y)).T)
        best = int(np.argmin(apart))
        return best if apart[best] <= reach else None


def spots_of(figure: Figure, x: np.ndarray, y: np.ndarray, panel: int = 0) -> Spots:
    """Return where the points (N,) of a panel lie in the image of `picture_of`.

    Args:
        figure: The figure, after `picture_of`.
        x: In the panel's units.
        y: In the panel's units.
        panel: Number of the panel.
    """
    height = figure.get_figheight() * figure.get_dpi()
    pixels = figure.axes[panel].transData.transform(np.column_stack([x, y]))
    return Spots(np.column_stack([pixels[:, 0], height - pixels[:, 1]]))
