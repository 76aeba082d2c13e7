"""The confusion matrix of a run's last model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from cliqa.evaluation.classification import confusion_matrix, predicted_classes
from cliqa.evaluation.records.predictions import ClassPredictions
from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import INK, PAGE, new_figure, shortened, slant_labels, styled

MOST_NAMED = 40
"""With more classes than this, an axis shows numbers instead of names."""

MOST_COUNTED = 14
"""With more classes than this, cells are too small for their counts."""


def draw_confusion(predictions: Sequence[ClassPredictions], label: str) -> Figure:
    """Draw how often each class was taken for each class, among all classes (class-IL).

    Colours are shares of a row, so that every true class counts the same; the numbers are samples,
    pooled over the test sets. A class without a sample has an empty row.

    Raises:
        ArtifactError: There is no prediction, the test sets have different classes, or the logits
            are no numbers.
    """
    if not predictions:
        raise ArtifactError("no predictions of classes are stored: there is nothing to draw.")
    classes = [str(name) for name in predictions[0].classes]
    if any([str(name) for name in other.classes] != classes for other in predictions[1:]):
        raise ArtifactError("the stored predictions are about different classes.")
    if not all(np.isfinite(other.logits).all() for other in predictions):
        raise ArtifactError("the stored logits are no finite numbers: training has diverged.")
    guesses = np.concatenate(
        [predicted_classes(p.logits, range(len(classes))) for p in predictions]
    )
    true = np.concatenate([p.target for p in predictions])
    return draw_counts(confusion_matrix(guesses, true, len(classes)), classes, label)


@styled
def draw_counts(counts: np.ndarray, classes: Sequence[str], label: str) -> Figure:
    """Draw a confusion matrix (K, K) of samples by true and by predicted class."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(PAGE, max(3.2, 2.2 + 0.3 * len(classes))) if len(classes) <= MOST_NAMED else 6.2
    figure = new_figure(side + 0.7, side, square=True)
    axes = figure.add_subplot()
    colors = ListedColormap(colormaps["RdBu"](np.linspace(0.5, 0.93, 256)))
    image = axes.imshow(share, cmap=colors, vmin=0, vmax=1, interpolation="none")
    if len(classes) <= MOST_COUNTED:
        _write_counts(axes, counts, share)
    _name_axes(axes, classes)
    correct = float(np.trace(counts)) / max(1, int(counts.sum()))
    found = f"accuracy {correct:.3f} of {counts.sum()} samples"
    axes.set_title(f"{shortened(label, 32)}\n{found}", loc="left")  # one line is too wide
    bar = figure.colorbar(image, ax=axes, shrink=0.8, aspect=18, pad=0.02)
    bar.outline.set_visible(False)
    bar.set_label("share of the true class")
    return figure


def _write_counts(axes: Axes, counts: np.ndarray, share: np.ndarray) -> None:
    """Write the number of samples into every cell that has any."""
    for (true, guess), count in np.ndenumerate(counts):
        if count:
            ink = "white" if share[true, guess] > 0.6 else INK
            axes.text(guess, true, str(count), ha="center", va="center", color=ink, fontsize=7)


def _name_axes(axes: Axes, classes: Sequence[str]) -> None:
    """Name the classes, or number them where there are many."""
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(classes) > MOST_NAMED:
        return
    size = 7.5 if len(classes) <= MOST_COUNTED else 5.5
    names = [shortened(name, 18) for name in classes]
    axes.set_xticks(range(len(classes)), names, fontsize=size)
    axes.set_yticks(range(len(classes)), names, fontsize=size)
    slant_labels(axes, 45)
