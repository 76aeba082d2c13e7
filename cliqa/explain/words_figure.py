"""What each word of a text looks at in an image, and how much it counts.

Legend: P candidates, L words of the longest prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import PAGE, new_figure, shortened, styled

MOST_WORDS = 12
"""Most words of a prompt that are shown: those that count most, in their order."""


@dataclass(frozen=True)
class WordLooks:
    """What the words of one candidate's prompt find in one image.

    Attributes:
        name: The candidate.
        share: How probable the model says it is, 0..1.
        words: The L words.
        weights: (L,), how much each counts; they sum to 1.
        maps: (L, H, W), how each word's look is shared among the image's pixels; 1 is an even look,
            NaN where the model does not look at all.
    """

    name: str
    share: float
    words: tuple[str, ...]
    weights: np.ndarray
    maps: np.ndarray


@styled
def draw_words(image: np.ndarray, title: str, found: Sequence[WordLooks]) -> Figure:
    """Draw the most likely candidates of one image, a row each: where every word looks.

    Args:
        image: uint8 (H, W, 3).
        title: What the image is called.
        found: The candidates, the most likely first.

    Raises:
        ArtifactError: There is none.
    """
    if not found:
        raise ArtifactError("there is no candidate to draw the words of.")
    shown = [_most_telling(each.weights) for each in found]
    columns = 1 + max(len(places) for places in shown)
    side = PAGE / columns * min(image.shape[0] / image.shape[1], 1.5)
    figure = new_figure(PAGE, len(found) * (side + 0.42) + 0.55)
    panels = figure.subplots(len(found), columns, squeeze=False)
    top = max(float(np.nanmax(each.maps)) for each in found)
    drawn = None
    for row, each, places in zip(panels, found, shown, strict=True):
        for axes in row:
            axes.set_axis_off()
        row[0].imshow(image)
        row[0].set_title(f"{shortened(each.name, 12)}\n{each.share:.2f}", fontsize=6)
        for axes, place in zip(row[1:], places, strict=False):
            axes.imshow(image.mean(axis=2), cmap="gray", vmin=0, vmax=255)
            drawn = axes.imshow(
                each.maps[place], cmap="viridis", vmin=0, vmax=top, alpha=0.65, interpolation="none"
            )
            word = shortened(each.words[place], 9)
            axes.set_title(f"{word}\n{each.weights[place]:.2f}", fontsize=6)
    figure.suptitle(shortened(title, 60), fontsize=8)
    if drawn is not None:
        bar = figure.colorbar(
            drawn, ax=list(panels.flat), location="bottom", shrink=0.5, aspect=30, pad=0.02
        )
        bar.outline.set_visible(False)
        ticks = [0.0, 1.0, top] if top > 1.2 else [0.0, top]
        bar.set_ticks(ticks, labels=[f"{tick:.1f}" for tick in ticks])
        bar.set_label("colour: a word's look (1: even); number: its weight", fontsize=7)
    return figure


def _most_telling(weights: np.ndarray) -> list[int]:
    """Return the places of the words that count most, in the order of the text."""
    return sorted(np.argsort(-weights, kind="stable")[:MOST_WORDS].tolist())
