"""Several runs in one figure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.utils.errors import EvaluationError
from cliqa.visualization.comparison import draw_comparison

MakeRun = Callable[..., Any]


def values(axes: Any, index: int) -> list[float]:
    """The heights of the points of one run."""
    return list(axes.containers[index].lines[0].get_ydata())


def test_points_are_the_final_scores_and_bars_the_forgetting(
    tmp_path: Path, make_run: MakeRun
) -> None:
    runs = {"replay": make_run(tmp_path / "a"), "joint": make_run(tmp_path / "b", joint=True)}
    figure = draw_comparison(runs)
    left: Any
    right: Any
    left, right = figure.axes
    heads = [text.get_text() for text in left.get_xticklabels()]
    assert heads == ["eva", "ava", "koniq", "mSRCC"]
    for index, run in enumerate(runs.values()):
        expected = [*run["matrix"]["srcc"][-1], run["summary"]["msrcc"]]
        assert values(left, index) == pytest.approx(expected)
    forgotten = runs["replay"]["summary"]["forgetting"]
    assert [bar.get_width() for bar in right.patches] == pytest.approx([forgotten, 0])
    assert [text.get_text() for text in right.texts] == [f"{forgotten:.3f}", "n/a"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["replay", "joint"]
    assert left.get_ylabel() == "final SRCC"


def test_runs_stand_side_by_side(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path)
    left: Any = draw_comparison({str(k): run for k in range(5)}).axes[0]
    places = np.array([c.lines[0].get_xdata() for c in left.containers])
    assert (np.diff(places, axis=0) > 0.05).all()
    assert np.abs(places - np.arange(4)).max() < 0.5


def test_other_streams_leave_gaps_and_undefined_scores_are_marked(
    tmp_path: Path, make_run: MakeRun
) -> None:
    other = make_run(tmp_path / "a", ["spaq", "koniq"])
    broken = make_run(tmp_path / "b", constant=[(2, 1)])
    left = draw_comparison({"other": other, "broken": broken}).axes[0]
    assert np.isnan(values(left, 0)).tolist() == [False, False, True, True, False]
    marked = [round(text.get_position()[0]) for text in left.texts if text.get_text() == "n/a"]
    assert marked == [3, 4]  # ava of the broken run, and its mean


def test_gains_reach_to_the_left(tmp_path: Path, make_run: MakeRun) -> None:
    run = make_run(tmp_path)
    run["summary"]["forgetting"] = -0.2
    right = draw_comparison({"gains": run}).axes[1]
    assert right.get_xlim()[0] < -0.2
    assert right.texts[0].get_text() == "\N{MINUS SIGN}0.200"


def test_refuses_runs_of_different_measures(tmp_path: Path, make_run: MakeRun) -> None:
    classes = make_run(tmp_path)
    classes["matrix"] = {"accuracy": classes["matrix"]["srcc"]}
    with pytest.raises(EvaluationError, match=r"\(a: srcc, b: accuracy\)"):
        draw_comparison({"a": make_run(tmp_path), "b": classes})


def test_one_data_set_has_no_panel_of_forgetting(tmp_path: Path, make_run: MakeRun) -> None:
    runs = {"a": make_run(tmp_path / "a", ("mine",)), "b": make_run(tmp_path / "b", ("mine",))}
    (left,) = draw_comparison(runs).axes
    assert left.get_ylabel() == "final SRCC"
