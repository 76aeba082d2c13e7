"""Figures of evaluations: one model's predictions, several models' measures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cliqa.evaluation.records.eval_results import DataSetScores
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.comparison import draw_evaluations
from cliqa.visualization.modes import draw_evaluation


def scores(srcc: float = 0.8, n: int = 30, band: bool = True) -> DataSetScores:
    """A data set of scores."""
    random = np.random.default_rng(0)
    target = random.random(n)
    pairs = zip(target, target + 0.1 * random.normal(size=n), strict=True)
    rows = [{"image": f"{i}.png", "target": t, "prediction": p} for i, (t, p) in enumerate(pairs)]
    metrics: dict[str, Any] = {"srcc": srcc, "plcc": srcc + 0.05, "n": n}
    if band:
        metrics["interval"] = {"srcc": [srcc - 0.1, srcc + 0.02]}
    return DataSetScores(metrics, rows, "file, set")


def classes() -> DataSetScores:
    """Three samples of two classes, and one of which nothing is predicted."""
    pairs = [("cat", "cat"), ("cat", "dog"), ("dog", "dog"), ("dog", None)]
    return DataSetScores(
        {"accuracy": 0.5}, [{"target": t, "prediction": p} for t, p in pairs], "f, s"
    )


def test_scores_are_a_scatter_plot_with_intervals() -> None:
    figure = draw_evaluation({"koniq": scores(), "spaq": scores(band=False)}, "Replay")
    first, second = (axes.texts[0].get_text().split("\n") for axes in figure.axes)
    assert first[0].endswith("[0.700, 0.820]")
    assert "[" not in second[0]
    assert figure.axes[0].get_xlabel() == "prediction of Replay"


def test_classes_are_one_confusion_matrix() -> None:
    figure = draw_evaluation({"0+1": classes(), "2+3": classes()})
    axes: Any = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog"]
    assert sorted(text.get_text() for text in axes.texts) == ["2", "2", "2"]
    shares: Any = [[0.5, 0.5], [0, 1]]
    np.testing.assert_allclose(axes.images[0].get_array(), shares)


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(ArtifactError, match="scores and classes"):
        draw_evaluation({"a": scores(), "b": classes()})
    nothing = DataSetScores({}, [{"target": "cat", "prediction": None}], "f, s")
    with pytest.raises(ArtifactError, match="predicts no class"):
        draw_evaluation({"a": nothing})
    with pytest.raises(ArtifactError, match="have none of srcc, plcc, accuracy"):
        draw_evaluations({"a": {"x": nothing}})


def test_models_stand_side_by_side_with_their_intervals() -> None:
    models = {
        "naive": {"koniq": scores(0.6), "spaq": scores(0.5)},
        "replay": {"koniq": scores(0.8, n=20)},
    }
    figure = draw_evaluations(models)
    assert [axes.get_ylabel() for axes in figure.axes] == ["SRCC", "PLCC"]
    first: Any = figure.axes[0]
    drawn = [container.lines[0].get_ydata().tolist() for container in first.containers]
    assert drawn[0] == [0.6, 0.5]
    assert drawn[1][0] == 0.8
    assert np.isnan(drawn[1][1])
    bars = first.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bars[0][:, 1], [0.5, 0.62])
    labels = [label.get_text() for label in figure.axes[1].get_xticklabels()]
    assert labels == ["koniq", "spaq\nn = 30"]  # 30 and 20 images of koniq
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["naive", "replay"]
