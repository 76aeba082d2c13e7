"""The figure of deployments: what is drawn, and how."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cliqa.deploy.search.pareto import RecipeResult, pareto_front
from cliqa.deploy.search.recipes import BASELINE, Recipe
from cliqa.visualization.pareto import draw_pareto


def row(recipe: Recipe, smaller: float, faster: float, drop: float) -> RecipeResult:
    return RecipeResult(
        recipe, 0.9 - drop, None, drop, int(1e6 / smaller), smaller, 1 / faster, faster
    )


def points(axes: Axes, size: float) -> list[Line2D]:
    """Return the lines of a single point with a marker of a size."""
    return [
        line
        for line in axes.lines
        if np.size(line.get_xdata()) == 1 and line.get_markersize() == size
    ]


ROWS = [
    row(BASELINE, 1, 1, 0.0),
    row(Recipe(), 1, 2, 0.0),
    row(Recipe(0, "onnxruntime", "int8"), 3.9, 5, 0.001),
    row(Recipe(0, "openvino", "bf16"), 1, 0.5, 0.0005),
    row(Recipe(0.5, "onnxruntime", "int8"), 15, 11, 0.03),
    RecipeResult(Recipe(0.7), note="failed"),
]


def test_every_measured_recipe_stands_at_its_place() -> None:
    figure = draw_pareto(ROWS, pareto_front(ROWS), ROWS[4], "SRCC")
    left, right = figure.axes
    for axes, places in ((left, [1, 1, 3.9, 1, 15]), (right, [1, 2, 5, 0.5, 11])):
        found = [np.ravel(line.get_xydata()).tolist() for line in points(axes, 6)]
        drops = [0.0, 0.0, -0.001, -0.0005, -0.03]
        assert found == [list(pair) for pair in zip(places, drops, strict=True)]
        assert len(points(axes, 12)) == 1
        assert [text.get_text() for text in axes.texts] == ["50 %"]


def test_the_axes_fit_the_ratios() -> None:
    close = [
        ROWS[0],
        row(Recipe(), 1, 1.3, 0.0),
        row(Recipe(0, "onnxruntime", "int8"), 3.9, 1.7, 0),
    ]
    left, right = draw_pareto(close, close, None, "SRCC").axes
    assert (left.get_xscale(), right.get_xscale()) == ("linear", "linear")
    assert right.get_xlim()[1] < 2
    left, right = draw_pareto(ROWS, [], None, "SRCC").axes
    assert (left.get_xscale(), right.get_xscale()) == ("log", "log")


def test_what_is_beaten_is_hollow() -> None:
    figure = draw_pareto(ROWS, pareto_front(ROWS), None, "SRCC")
    hollow = [line.get_markerfacecolor() == "white" for line in points(figure.axes[0], 6)]
    assert hollow == [True, False, False, True, False]


def test_the_legend_names_what_is_drawn() -> None:
    figure = draw_pareto(ROWS[:3], ROWS[1:3], ROWS[2], "accuracy")
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["fp32", "int8", "torch", "onnxruntime", "not beaten", "chosen"]
    assert figure.axes[0].get_ylabel() == "change of accuracy"
