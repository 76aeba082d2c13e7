"""Scatter plots: points, fitted curve and what the corner says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from cliqa.evaluation.functional import plcc, srcc
from cliqa.evaluation.logistic import logistic_fit
from cliqa.evaluation.records.predictions import ScorePredictions
from cliqa.utils.errors import EvaluationError
from cliqa.visualization.scatter import FIT_IMAGES, draw_scatter


def predictions(x: np.ndarray | None = None, n: int = 50, noise: float = 0.1) -> ScorePredictions:
    """Return predictions of n images; x replaces the predicted scores."""
    random = np.random.default_rng(0)
    y = random.random(n)
    x = y + noise * random.normal(size=n) if x is None else x
    return ScorePredictions(x, y, 10 * y, np.array(["a.jpg"] * n))


def corner(axes: Axes) -> list[str]:
    """The lines above a panel."""
    return axes.texts[0].get_text().split("\n")


def test_points_curve_and_correlations() -> None:
    data = predictions()
    figure = draw_scatter({"eva": data, "ava": data}, "after ava")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["eva", "ava"]
    axes: Any = figure.axes[0]
    points = axes.collections[0].get_offsets()
    np.testing.assert_allclose(points, np.stack([data.prediction, data.target], axis=1))
    fit = logistic_fit(data.prediction, data.target)
    identity, curve = axes.lines
    assert list(identity.get_xdata()) == [0, 1]
    np.testing.assert_allclose(curve.get_ydata(), fit(curve.get_xdata()))
    assert corner(axes) == [
        f"SRCC {srcc(data.prediction, data.target):.3f}",
        f"PLCC {plcc(data.prediction, data.target):.3f}",
        "n = 50",
    ]
    assert axes.get_xlabel() == "prediction after ava"
    assert [a.get_ylabel() for a in figure.axes] == ["true score", ""]


def test_predictions_that_run_against_the_scores_have_no_curve() -> None:
    data = predictions()
    axes = draw_scatter({"eva": predictions(1 - data.prediction)}).axes[0]
    assert len(axes.lines) == 1
    assert corner(axes)[0].startswith("SRCC \N{MINUS SIGN}0.9")
    assert corner(axes)[-1] == "no curve: wrong direction"


def test_a_few_points_have_no_curve() -> None:
    figure = draw_scatter(
        {"few": predictions(n=FIT_IMAGES - 1), "enough": predictions(n=FIT_IMAGES)}
    )
    few, enough = figure.axes
    assert len(few.lines) == 1
    assert corner(few)[-1] == f"no curve: under {FIT_IMAGES} images"
    assert len(enough.lines) == 2
    assert corner(enough)[-1] == ""  # the lines above all panels are level


def test_the_legend_names_the_lines_that_are_drawn() -> None:
    def names(axes: Axes) -> list[str]:
        legend = axes.get_legend()
        return [] if legend is None else [text.get_text() for text in legend.get_texts()]

    falls = predictions(1 - predictions().prediction)
    figure = draw_scatter({"falls": falls, "rises": predictions(), "also": predictions()})
    assert [names(axes) for axes in figure.axes] == [
        [],
        ["prediction = score", "fitted logistic"],
        [],
    ]
    assert names(draw_scatter({"falls": falls}).axes[0]) == ["prediction = score"]


def test_constant_and_diverged_predictions_are_n_a() -> None:
    diverged = predictions().prediction.copy()
    diverged[7] = np.nan
    nothing = np.full(50, np.nan)
    data = {
        "constant": predictions(np.full(50, 0.5)),
        "diverged": predictions(diverged),
        "nothing": predictions(nothing),
    }
    figure = draw_scatter(data)
    for axes in figure.axes:
        assert corner(axes)[:2] == ["SRCC n/a", "PLCC n/a"]
        assert len(axes.lines) == 1
    reasons = [corner(axes)[3] for axes in figure.axes]
    assert reasons == ["no curve: nothing varies", *["no curve: not all are numbers"] * 2]
    counts = [corner(axes)[2] for axes in figure.axes]
    assert counts == ["n = 50", "n = 50, 1 outside", "n = 50, 50 outside"]


def test_far_predictions_widen_the_axis_up_to_a_bound() -> None:
    near = draw_scatter({"a": predictions()}, scale="unit").axes[0]
    assert near.get_xlim()[0] > -0.5
    scaled = predictions(5 * predictions().prediction - 2)
    low, high = draw_scatter({"a": scaled}, scale="unit").axes[0].get_xlim()
    assert low < scaled.prediction.min()
    assert high > scaled.prediction.max()
    far = predictions().prediction.copy()
    far[0], far[1] = 1e6, -1e6
    axes = draw_scatter({"a": predictions(far)}, scale="unit").axes[0]
    assert axes.get_xlim()[1] < 5
    assert corner(axes)[2] == "n = 50, 2 outside"


def test_scores_on_another_scale_have_axes_of_that_scale() -> None:
    data = predictions()
    percent = ScorePredictions(100 * data.prediction, 100 * data.target, 100 * data.raw, data.image)
    axes: Any = draw_scatter({"koniq": percent}, scale="unit").axes[0]
    low, high = axes.get_ylim()
    assert low < 100 * data.target.min()
    assert 100 * data.target.max() < high < 105
    ends = [100 * data.target.min(), 100 * data.target.max()]
    assert np.ravel(axes.lines[0].get_xdata()).tolist() == ends
    assert corner(axes) == corner(draw_scatter({"koniq": data}).axes[0])


@pytest.mark.parametrize("ends", [(1.0, 5.0), (100.0, 0.0)])
def test_one_data_set_is_drawn_on_its_own_scale(ends: tuple[float, float]) -> None:
    worst, best = ends
    data = predictions()
    raw = worst + (best - worst) * data.target
    own = ScorePredictions(data.prediction, data.target.astype(np.float32), raw, data.image)
    axes: Any = draw_scatter({"mine": own}).axes[0]
    points = axes.collections[0].get_offsets()
    predicted = worst + (best - worst) * data.prediction
    np.testing.assert_allclose(points, np.stack([predicted, raw], axis=1), rtol=1e-4)
    assert np.ravel(axes.lines[0].get_xdata()).tolist() == sorted(ends)
    lower = ", lower is better" if worst > best else ""
    assert axes.get_ylabel() == f"true score{lower}"
    assert corner(axes) == corner(draw_scatter({"mine": own}, scale="unit").axes[0])
    panels: list[Any] = draw_scatter({"mine": own, "other": own}).axes
    assert list(panels[0].lines[0].get_xdata()) == [0, 1]
    both: Any = draw_scatter({"mine": own, "other": data}, scale="dataset")
    panels = both.axes
    assert [list(panel.lines[0].get_xdata()) for panel in panels] == [sorted(ends), [0, 10]]


def test_equal_scores_tell_no_scale() -> None:
    data = predictions()
    alike = ScorePredictions(data.prediction, np.full(50, 0.5), np.full(50, 3.0), data.image)
    assert alike.scale() is None
    axes: Any = draw_scatter({"mine": alike}).axes[0]
    assert list(axes.lines[0].get_xdata()) == [0, 1]


def test_intervals_stand_behind_their_measures() -> None:
    axes = draw_scatter({"a": predictions()}, "", {"a": {"srcc": [-0.5, 0.25], "plcc": None}}).axes[
        0
    ]
    assert corner(axes)[0].endswith(" [\N{MINUS SIGN}0.500, 0.250]")
    assert "[" not in corner(axes)[1]


@pytest.mark.parametrize("count", [1, 4, 6, 10])
def test_any_number_of_panels(count: int) -> None:
    figure = draw_scatter({f"set {k}": predictions() for k in range(count)})
    assert len(figure.axes) == count
    labelled = [axes for axes in figure.axes if axes.get_xlabel()]
    assert len(labelled) == min(count, {1: 1, 4: 2, 6: 3, 10: 4}[count])


def test_needs_a_data_set() -> None:
    with pytest.raises(EvaluationError, match="there are no predictions to draw"):
        draw_scatter({})
