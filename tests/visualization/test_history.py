"""Training histories: what is drawn of every epoch, and of several runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.utils.errors import ArtifactError
from cliqa.visualization.history import draw_histories, draw_history, load_metrics

MakeRun = Callable[..., Any]


def epoch(t: int, number: int, **more: Any) -> dict[str, Any]:
    """A row of metrics.jsonl."""
    return {"kind": "epoch", "experience": t, "name": f"set {t}", "epoch": number, **more}


def test_history_runs_on_through_the_experiences() -> None:
    rows = [epoch(t, e, loss=1.0 / e, val_srcc=0.1 * e) for t in range(3) for e in (1, 2, 3, 4)]
    figure = draw_history([*rows, {"kind": "eval", "experience": 0}])
    loss, score = figure.axes
    curves: list[Any] = [line for line in loss.lines if np.size(line.get_xdata()) == 4]
    assert [line.get_xdata().tolist() for line in curves] == [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 11, 12],
    ]
    assert curves[0].get_ydata() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert len(loss.lines) - len(curves) == 2  # what separates three experiences
    assert [text.get_text() for text in loss.texts] == ["set 0", "set 1", "set 2"]
    assert (loss.get_ylabel(), score.get_ylabel()) == ("training loss", "validation SRCC")
    assert score.get_xlabel() == "epoch"


def test_epochs_without_validation_leave_no_gap() -> None:
    rows = [epoch(0, e, loss=0.1, val_accuracy=None if e % 2 else 0.2) for e in range(1, 7)]
    score: Any = draw_history(rows).axes[1]
    assert score.get_ylabel() == "validation accuracy"
    assert score.lines[0].get_xdata().tolist() == [2, 4, 6]


@pytest.mark.parametrize("more", [{}, {"val_srcc": None}])
def test_without_validation_there_is_the_loss_alone(more: dict[str, Any]) -> None:
    figure = draw_history([epoch(0, e, loss=0.1, **more) for e in (1, 2)])
    assert [axes.get_ylabel() for axes in figure.axes] == ["training loss"]


def test_history_needs_an_epoch() -> None:
    with pytest.raises(ArtifactError, match=r"metrics\.jsonl holds no epoch"):
        draw_history([{"kind": "eval"}])


def test_each_measure_has_a_panel_with_training_and_validation() -> None:
    rows = [
        epoch(0, e, loss=0.1, train_srcc=0.5, val_srcc=0.4, val_plcc=0.3, train_loss=None)
        for e in (1, 2)
    ]
    figure = draw_history(rows)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["training loss", "SRCC", "validation PLCC"]
    drawn = [(line.get_linestyle(), line.get_ydata()[0]) for line in figure.axes[1].lines]  # type: ignore[index]
    assert drawn == [(":", 0.5), ("-", 0.4)]
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    assert figure.axes[2].get_legend() is None


def test_a_single_epoch_tells_training_from_validation() -> None:
    figure: Any = draw_history([epoch(0, 1, loss=0.1, train_srcc=0.5, val_srcc=0.4)])
    training, validation = figure.axes[1].lines
    assert training.get_markerfacecolor() == "white"
    assert validation.get_markerfacecolor() == validation.get_color()
    shown = [line.get_markerfacecolor() for line in figure.axes[1].get_legend().legend_handles]
    assert shown[0] == "white" != shown[1]
    assert all(axes.get_ygridlines()[0].get_visible() for axes in figure.axes)


def test_the_loss_fills_its_panel_and_no_marker_is_cut() -> None:
    rows = [epoch(0, e, loss=5 + 0.01 * e, val_srcc=0.1 * e) for e in (1, 2, 3)]
    for figure in (draw_history(rows), draw_histories({"a": rows, "b": rows})):
        for axes, low, high in zip(figure.axes, (5.01, 0.1), (5.03, 0.3), strict=True):
            bottom, top = axes.get_ylim()
            margin = 0.05 * (high - low)
            assert low - 0.2 < bottom < low - margin
            assert high + margin < top < high + 0.2


def test_runs_lie_over_each_other() -> None:
    short = [epoch(t, e, loss=1.0, val_srcc=0.1) for t in range(2) for e in (1, 2)]
    longer = [epoch(t, e, loss=0.5, val_srcc=0.2) for t in range(2) for e in (1, 2, 3)]
    figure = draw_histories({"naive": short, "replay": longer})
    loss: Any = figure.axes[0]
    assert [line.get_xdata().tolist() for line in loss.lines] == [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["naive", "replay"]
    assert figure.axes[1].get_xlim() == (0.5, 6.5)


def test_runs_of_equal_experiences_are_separated_in_every_panel() -> None:
    rows = [epoch(t, e, loss=1.0, val_srcc=0.1) for t in range(2) for e in (1, 2)]
    figure = draw_histories({"a": rows, "b": rows})
    borders = [[line.get_xdata() for line in axes.lines[2:]] for axes in figure.axes]
    assert borders == [[[2.5, 2.5]], [[2.5, 2.5]]]
    with pytest.raises(ArtifactError, match=r"b: metrics\.jsonl holds no epoch"):
        draw_histories({"a": rows, "b": []})


def test_metrics_are_read_from_a_work_dir_and_from_the_file(
    tmp_path: Path, make_run: MakeRun
) -> None:
    make_run(tmp_path)
    rows = load_metrics(tmp_path)
    assert rows == load_metrics(tmp_path / "metrics.jsonl")
    assert sum(row["kind"] == "epoch" for row in rows) == 9
    assert load_metrics(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"kind": "epoch"}, "experience"),
        (epoch(0, 1, name=3), "name"),
        (epoch(0, True), "epoch"),
        (epoch(0, 1, loss="x"), "loss"),
        (epoch(0, 1, loss=1.0, val_srcc=[1]), "val_srcc"),
    ],
)
def test_rows_that_no_run_writes_are_damage(row: dict[str, Any], key: str, tmp_path: Path) -> None:
    lines = [epoch(0, 1, loss=1.0, lr=0.1, val_srcc=None), row]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ArtifactError, match=f"line 2: damaged .'{key}' is missing or wrong"):
        load_metrics(path)
    path.write_text("[" * 100_000 + "\n")
    with pytest.raises(ArtifactError, match="line 1: damaged"):
        load_metrics(path)
