"""The heat map: what stands in its cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cliqa.visualization.matrix import draw_matrix

MakeRun = Callable[..., Any]


def texts(figure: Figure) -> list[str]:
    """Everything written into the cells."""
    return [text.get_text() for text in figure.axes[0].texts]


def frames(figure: Figure) -> list[Rectangle]:
    """The frames around what has just been learnt."""
    return [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and not p.get_fill()]


def hatched(figure: Figure) -> list[Rectangle]:
    """The cells that are not defined."""
    return [p for p in figure.axes[0].patches if isinstance(p, Rectangle) and p.get_hatch()]


def test_every_cell_has_its_value_and_interval(tmp_path: Path, make_run: MakeRun) -> None:
    results = make_run(tmp_path)
    figure = draw_matrix(results)
    written = texts(figure)
    assert len(written) == 2 * 9
    for row in results["matrix"]["srcc"]:
        for value in row:
            assert f"{value:.3f}" in written
    low, high = results["interval"]["srcc"][0][0]
    assert f"[{low:.3f}, {high:.3f}]" in written
    axes = figure.axes[0]
    assert axes.get_title(loc="left") == "SRCC"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["eva", "ava", "koniq"]
    labels = [t.get_text() for t in axes.get_yticklabels()]
    assert labels == ["after eva", "after ava", "after koniq"]
    assert len(frames(figure)) == 3
    assert not hatched(figure)


def test_undefined_cells_are_hatched(tmp_path: Path, make_run: MakeRun) -> None:
    figure = draw_matrix(make_run(tmp_path, constant=[(0, 1), (2, 2)]))
    assert texts(figure).count("n/a") == len(hatched(figure)) == 2


def test_scale_reaches_below_zero_only_where_a_score_does(
    tmp_path: Path, make_run: MakeRun
) -> None:
    figure = draw_matrix(make_run(tmp_path / "a"))
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    negative = draw_matrix(make_run(tmp_path / "b", reversed_=[(1, 0)]))
    image = negative.axes[0].images[0]
    assert image.get_clim() == (-1, 1)
    assert any(text.startswith("\N{MINUS SIGN}0.") for text in texts(negative))
    maps: list[Any] = [f.axes[0].images[0] for f in (figure, negative)]
    one_colour = [drawn.to_rgba(0.8) for drawn in maps]
    assert one_colour[0] == pytest.approx(one_colour[1], abs=0.01)  # it means the same in both


def test_joint_run_is_one_row_without_frames(tmp_path: Path, make_run: MakeRun) -> None:
    figure = draw_matrix(make_run(tmp_path, joint=True))
    assert figure.axes[0].images[0].get_size() == (1, 3)
    assert not frames(figure)


@pytest.mark.parametrize("count", [1, 6])
def test_takes_any_number_of_data_sets(tmp_path: Path, make_run: MakeRun, count: int) -> None:
    names = [f"a data set with the long name of number {k}" for k in range(count)]
    figure = draw_matrix(make_run(tmp_path, names), "plcc")
    assert figure.axes[0].get_title(loc="left") == "PLCC"
    assert len(texts(figure)) == 2 * count**2
    assert all(
        len(line) <= 20
        for text in figure.axes[0].get_yticklabels()
        for line in text.get_text().split("\n")
    )
