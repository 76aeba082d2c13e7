"""Curves: what is drawn of every data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cliqa.visualization.curves import draw_scores

MakeRun = Callable[..., Any]


def test_one_panel_per_data_set(tmp_path: Path, make_run: MakeRun) -> None:
    results = make_run(tmp_path, extra=["spaq"])
    figure = draw_scores(results)
    assert [axes.get_title(loc="left") for axes in figure.axes] == results["datasets"]
    for k, axes in enumerate(figure.axes):
        column = [row[k] for row in results["matrix"]["srcc"]]
        drawn = [line.get_ydata() for line in axes.lines if line.get_marker() not in (None, "None")]
        assert any(np.array_equal(values, column) for values in drawn)
        assert len(axes.collections) == 1  # the band
    assert figure.get_supylabel() == "SRCC"
    assert len(figure.legends[0].get_texts()) == 5


def test_line_is_dashed_until_the_data_set_is_learnt(tmp_path: Path, make_run: MakeRun) -> None:
    figure = draw_scores(make_run(tmp_path, extra=["spaq"]))
    lengths = []
    for axes in figure.axes:
        by_style = {line.get_linestyle(): np.size(line.get_xdata()) for line in axes.lines}
        lengths.append((by_style["--"], by_style["-"]))
    assert lengths == [(1, 3), (2, 2), (3, 1), (3, 1)]


def test_undefined_scores_are_marked(tmp_path: Path, make_run: MakeRun) -> None:
    figure = draw_scores(make_run(tmp_path, constant=[(1, 2)]))
    marks = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert marks == [[], [], ["n/a"]]


def test_axis_reaches_below_zero_where_a_score_does(tmp_path: Path, make_run: MakeRun) -> None:
    assert draw_scores(make_run(tmp_path / "a")).axes[0].get_ylim() == (0, 1.05)
    low, high = draw_scores(make_run(tmp_path / "b", reversed_=[(2, 0)])).axes[0].get_ylim()
    assert low < -0.5
    assert high > 1.05


def test_one_experience_is_a_point_with_a_bar(tmp_path: Path, make_run: MakeRun) -> None:
    figure = draw_scores(make_run(tmp_path, ["koniq"]))
    assert len(figure.axes) == 1
    assert len(figure.axes[0].containers) == 1
    assert not figure.legends


def test_many_experiences_are_numbered(tmp_path: Path, make_run: MakeRun) -> None:
    figure = draw_scores(make_run(tmp_path, [f"bucket_{k}" for k in range(8)]))
    assert len(figure.axes) == 8
    assert [t.get_text() for t in figure.axes[-1].get_xticklabels()] == ["1", "3", "5", "7"]
    assert figure.axes[-1].get_xlabel() == "after experience"
