"""The confusion matrix: what stands in its cells, on its axes and in its title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cliqa.evaluation.classification import accuracy, confusion_matrix, predicted_classes
from cliqa.evaluation.records.predictions import ClassPredictions
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.confusion import MOST_COUNTED, MOST_NAMED, draw_confusion


def predictions(
    classes: int, n: int = 200, seed: int = 0, only: Sequence[int] | None = None
) -> ClassPredictions:
    """Logits that are right more often than not; the samples are of the classes `only`."""
    random = np.random.default_rng(seed)
    target = random.choice(range(classes) if only is None else only, n)
    logits = random.normal(size=(n, classes)) + 2 * np.eye(classes)[target]
    names = np.array([f"class {k}" for k in range(classes)])
    return ClassPredictions(logits.astype(np.float32), target, np.array(["a.jpg"] * n), names)


def labels(figure: Figure) -> tuple[list[str], list[str]]:
    """Return what is written along both axes, x first."""
    axes = figure.axes[0]
    ticks = axes.get_xticklabels(), axes.get_yticklabels()
    found = [[text.get_text() for text in side] for side in ticks]
    return found[0], found[1]


def title(figure: Figure) -> str:
    return figure.axes[0].get_title(loc="left")


def test_cells_are_the_samples_and_the_shares_of_their_row() -> None:
    data = predictions(5)
    figure = draw_confusion([data], "after 3+4")
    counts = confusion_matrix(predicted_classes(data.logits), data.target, 5)
    axes = figure.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {
        (said, true): str(count) for (true, said), count in np.ndenumerate(counts) if count
    }
    (image,) = axes.images
    shares = np.asarray(image.get_array())
    np.testing.assert_allclose(shares, counts / counts.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert image.get_clim() == (0, 1)


def test_title_and_axes_say_what_is_shown() -> None:
    data = predictions(5)
    figure = draw_confusion([data], "after 3+4")
    right = accuracy(data.logits, data.target)
    assert title(figure) == f"after 3+4\naccuracy {right:.3f} of 200 samples"
    names = [f"class {k}" for k in range(5)]
    assert labels(figure) == (names, names)
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")
    assert bar.get_ylabel() == "share of the true class"


def test_test_sets_are_put_together() -> None:
    parts = [predictions(4, 30, seed, only) for seed, only in enumerate([(0, 1), (2, 3)])]
    logits = np.concatenate([part.logits for part in parts])
    target = np.concatenate([part.target for part in parts])
    one = ClassPredictions(logits, target, np.array(["a.jpg"] * 60), parts[0].classes)
    figures = [draw_confusion(parts, "x"), draw_confusion([one], "x")]
    for first, second in zip(figures[0].axes[0].texts, figures[1].axes[0].texts, strict=True):
        assert first.get_text() == second.get_text()
    assert title(figures[0]) == title(figures[1])
    assert "of 60 samples" in title(figures[0])


def test_a_class_without_a_sample_has_an_empty_row() -> None:
    figure = draw_confusion([predictions(4, only=(0, 3))], "after 0+3")
    rows = {text.get_position()[1] for text in figure.axes[0].texts}
    assert rows == {0, 3}
    shares = np.asarray(figure.axes[0].images[0].get_array())
    assert not shares[1:3].any()


def test_outputs_beyond_the_classes_do_not_compete() -> None:
    data = predictions(3)
    beyond = np.full((200, 2), 99.0)
    wide = replace(data, logits=np.concatenate([data.logits, beyond], axis=1))
    assert title(draw_confusion([wide], "x")) == title(draw_confusion([data], "x"))


def test_numbers_are_readable_on_their_colour() -> None:
    sure = np.array([[9.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 0.0]])
    data = replace(predictions(2, 4), logits=sure, target=np.array([0, 0, 1, 1]))
    axes = draw_confusion([data], "x").axes[0]
    inks = {text.get_position(): text.get_color() for text in axes.texts}
    assert inks[0, 0] == "white"  # a share of 1
    assert inks[0, 1] == inks[1, 1] != "white"  # shares of 0.5


@pytest.mark.parametrize(
    ("classes", "counted", "named"),
    [
        (MOST_COUNTED, True, True),
        (MOST_COUNTED + 1, False, True),
        (MOST_NAMED, False, True),
        (MOST_NAMED + 1, False, False),
        (101, False, False),
    ],
)
def test_many_classes_lose_their_counts_and_then_their_names(
    classes: int, counted: bool, named: bool
) -> None:
    figure = draw_confusion([predictions(classes, 400)], "after bucket-10")
    assert bool(figure.axes[0].texts) == counted
    names = [f"class {k}" for k in range(classes)]
    FigureCanvasAgg(figure).draw()
    for side in labels(figure):
        assert (side == names) == named
        assert named or all(text.lstrip("\N{MINUS SIGN}").isdigit() for text in side)
    assert max(figure.get_size_inches()) < 9
    assert figure.axes[0].images[0].get_size() == (classes, classes)


@pytest.mark.parametrize("classes", [2, 3, 11, 41])
def test_everything_written_lies_within_the_figure(classes: int) -> None:
    data = predictions(classes, 30_000)
    long = np.array([f"a class with the long name of number {k}" for k in range(classes)])
    label = "after an experience of a name that is really rather long"
    figure: Any = draw_confusion([replace(data, classes=long)], label)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.get_tightbbox(canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height
    if classes <= MOST_NAMED:
        assert all(len(name) <= 18 for side in labels(figure) for name in side)


def test_needs_predictions() -> None:
    with pytest.raises(ArtifactError, match="no predictions of classes are stored"):
        draw_confusion([], "x")


def test_refuses_test_sets_of_different_classes() -> None:
    other = replace(predictions(3), classes=np.array(["class 0", "class 2", "class 1"]))
    for second in (other, predictions(4)):
        with pytest.raises(ArtifactError, match="are about different classes"):
            draw_confusion([predictions(3), second], "x")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_logits_that_are_no_numbers(value: float) -> None:
    data = predictions(3)
    data.logits[5, 1] = value
    with pytest.raises(ArtifactError, match="no finite numbers: training has diverged"):
        draw_confusion([predictions(3), data], "x")
