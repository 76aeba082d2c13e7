"""The figure of methods and their files."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.colors import to_hex

from cliqa.evaluation.records.phases import HEADS, build_phases
from cliqa.visualization.phases import draw_phases, not_beaten


def values(accuracy: float | None, mib: float, fps: float) -> dict[str, float | None]:
    return {**dict.fromkeys(HEADS, 1.0), "accuracy": accuracy, "mib": mib, "fps_1": fps}


def drawn(runs: dict[str, dict[str, dict[str, float | None]]]) -> Any:
    labels = {name: f"arm {name}" for name in runs}
    return draw_phases(build_phases(runs, labels=labels, replicates=["seed 0"], base="a", about={}))


def test_arms_that_another_one_beats_are_hollow() -> None:
    figure = drawn(
        {
            "a": {"seed 0": values(0.75, 0.1, 20000.0)},
            "b": {"seed 0": values(0.65, 0.3, 3000.0)},  # beaten by a
            "c": {"seed 0": values(0.74, 0.05, 19000.0)},  # smaller, but slower than a
        }
    )
    left, right = figure.axes
    faces = [
        [to_hex(bars[0].get_markerfacecolor()) for bars in axes.containers]
        for axes in (left, right)
    ]
    assert [face == "#ffffff" for face in faces[0]] == [False, True, False]
    assert [face == "#ffffff" for face in faces[1]] == [False, True, True]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *("arm a", "arm b", "arm c"),
        "beaten in both",
    ]


def test_intervals_are_drawn_and_arms_without_runs_are_left_out() -> None:
    runs = {"seed 0": values(0.7, 0.1, 2e4), "seed 1": values(0.8, 0.1, 3e4)}
    left, _ = drawn({"a": runs, "b": {}}).axes
    (bars,) = left.containers
    assert bars.has_yerr
    low, high = bars[2][1].get_segments()[0][:, 1]
    assert (low + high) / 2 == pytest.approx(0.75)


def test_equal_points_are_both_not_beaten() -> None:
    assert not_beaten([(1.0, 0.5), (1.0, 0.5), (2.0, 0.5)], larger=False) == [0, 1]
