"""The figure of a study: a point a run, a mean a config, a line a bound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cliqa.evaluation.records.study import Study
from cliqa.visualization.study import draw_study
from cliqa.visualization.style import save_figure


def column(*values: float | None, reach: float | None = 0.1) -> dict[str, Any]:
    """Return a column over seeds; the mean is not defined where a value is not."""
    known = [value for value in values if value is not None]
    mean = sum(known) / len(known) if len(known) == len(values) and known else None
    ends = (None, None) if mean is None or reach is None else (mean - reach, mean + reach)
    numbered = {f"seed {k}": value for k, value in enumerate(values)}
    return {"values": numbered, "mean": mean, "low": ends[0], "high": ends[1]}


@pytest.fixture
def study() -> Study:
    """Return a study of two methods and their bounds over two seeds."""
    finals = {"naive": (0.2, 0.4), "replay": (0.7, 0.8), "l2": (0.5, None), "joint": (0.9, 0.9)}
    return {
        "measure": "srcc",
        "final": "msrcc",
        "naive": "naive",
        "joint": "joint",
        "rows": [
            {
                "config": name,
                "runs": 2,
                "columns": {"msrcc": column(*values), "forgetting": column(*map(loss, values))},
            }
            for name, values in finals.items()
        ],
    }


def loss(value: float | None) -> float | None:
    """Return a run's forgetting, none for the joint one's."""
    return None if value in (None, 0.9) else 0.9 - (value or 0)


def points(axes: Any) -> list[list[float]]:
    """Return the places of the runs' points, a list a config."""
    return [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "."]


def test_points_are_runs_and_diamonds_their_means(study: Study) -> None:
    left: Any
    right: Any
    left, right = draw_study(study).axes
    assert points(left) == [[0.2, 0.4], [0.7, 0.8], [0.5], [0.9, 0.9]]
    means = [float(bar.lines[0].get_xdata()[0]) for bar in left.containers]
    assert means == pytest.approx([0.3, 0.75, 0.9])
    ends = [bar.lines[2][0].get_segments()[0][:, 0] for bar in left.containers]
    assert [list(end) for end in ends] == [pytest.approx([m - 0.1, m + 0.1]) for m in means]
    assert [text.get_text() for text in left.get_yticklabels()] == [
        "naive",
        "replay",
        "l2",
        "joint",
    ]
    assert (left.get_xlabel(), right.get_xlabel()) == ("final mSRCC", "forgetting")
    lines = [text.get_position()[1] for text in right.texts if text.get_text() == "n/a"]
    assert lines == [2, 3]  # the l2 run that has none, and joint training


def test_bounds_are_dotted_lines_with_their_names_outside(study: Study) -> None:
    left: Any = draw_study(study).axes[0]
    dotted = [line.get_xdata()[0] for line in left.lines if line.get_linestyle() == ":"]
    assert dotted == pytest.approx([0.3, 0.9])
    named = {text.get_text(): text.get_ha() for text in left.texts if text.get_text() != "n/a"}
    assert named == {"naive": "right", "joint": "left"}
    study["naive"] = study["joint"] = None
    left = draw_study(study).axes[0]
    assert not [line for line in left.lines if line.get_linestyle() == ":"]


def test_classes_have_a_panel_more(study: Study) -> None:
    study["final"] = "average_accuracy"
    for row in study["rows"]:
        final = row["columns"].pop("msrcc")
        row["columns"] |= {"average_accuracy": final, "average_accuracy_task_il": final}
    labels = [axes.get_xlabel() for axes in draw_study(study).axes]
    assert labels == ["final accuracy", "final accuracy, task-IL", "forgetting"]


def test_one_seed_and_none(study: Study) -> None:
    study["rows"][1]["columns"]["msrcc"] = column(0.7, reach=None)
    study["rows"][2]["columns"]["msrcc"] = column()
    left: Any = draw_study(study).axes[0]
    assert points(left) == [[0.2, 0.4], [0.7], [0.9, 0.9]]
    assert not left.containers[1].lines[2]  # no bar
    assert [text.get_position()[1] for text in left.texts if text.get_text() == "n/a"] == [2]


def test_more_configs_make_it_taller(study: Study, tmp_path: Path) -> None:
    sizes = []
    for rows in (study["rows"], study["rows"] * 3):
        path = save_figure(draw_study({**study, "rows": rows}), tmp_path / "study.png", 60)
        with Image.open(path) as image:
            sizes.append(image.size)
    assert sizes[1][0] == sizes[0][0]
    assert sizes[1][1] > 2 * sizes[0][1]
