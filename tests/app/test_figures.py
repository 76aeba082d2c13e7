"""Tests of cliqa.app.figures."""

from __future__ import annotations

import threading

import numpy as np
from matplotlib.figure import Figure

from cliqa.app.figures import DPI, Spots, drawn, picture_of, spots_of
from cliqa.visualization.style import new_figure


def square(color: str = "red") -> Figure:
    """Return a figure with one large point at (2, 3)."""
    figure = new_figure(2, 3)
    axes = figure.add_subplot()
    axes.plot([2], [3], "o", color=color, markersize=20)
    axes.set(xlim=(0, 4), ylim=(0, 9))
    return figure


def test_points_lie_where_they_are_drawn() -> None:
    figure = square()
    picture = np.asarray(picture_of(figure))
    assert picture.shape == (3 * DPI, 2 * DPI, 3)
    ((x, y),) = spots_of(figure, np.array([2.0]), np.array([3.0])).places
    red = np.argwhere((picture == (255, 0, 0)).all(axis=2))
    assert np.allclose(red.mean(axis=0), (y, x), atol=1.5)


def test_the_nearest_point_within_reach_is_found() -> None:
    spots = Spots(np.array([[10.0, 10.0], [30.0, 10.0]]))
    assert spots.nearest(19, 10) == 0
    assert spots.nearest(21, 10) == 1
    assert spots.nearest(10, 90) is None
    assert spots.nearest(10, 90, reach=100) == 0
    assert Spots(np.empty((0, 2))).nearest(1, 1) is None


def test_threads_draw_one_after_the_other() -> None:
    expected = {color: drawn(square, color).tobytes() for color in ("red", "blue")}
    wrong: list[str] = []

    def work(color: str) -> None:
        for _ in range(3):
            if drawn(square, color).tobytes() != expected[color]:
                wrong.append(color)

    threads = [threading.Thread(target=work, args=(c,)) for c in ("red", "blue", "red")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
