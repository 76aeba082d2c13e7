"""Where a model looks in images, laid over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from cliqa.utils.errors import ArtifactError
from cliqa.visualization.style import MUTED, PAGE, color, new_figure, shortened, styled

MOST_ROWS = 6
"""Most images in one figure."""

MOST_LAYERS = 5
"""Most maps of an image; the last ones are shown."""


@dataclass(frozen=True)
class Explanation:
    """Where a model looks in one image.

    Attributes:
        image: uint8 (H, W, 3).
        name: The image's name.
        score: The predicted score, 0..1, or the probability of `label`.
        label: The class, of a classifier.
        maps: By layer, (H, W); NaN where the model does not look at all.
        weights: By module, the weights (L,) of the scales, shallow to deep.
        gradient: The maps are Grad-CAM with a sign; else attention in 0..1.
    """

    image: np.ndarray
    name: str
    score: float
    label: str | None = None
    maps: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    gradient: bool = False


@styled
def draw_attention(found: Sequence[Explanation]) -> Figure:
    """Draw images, the maps over them, and the weights of scales, one row an image.

    A layer's colours mean the same in every row.

    Args:
        found: At most `MOST_ROWS` explanations by the same model.

    Raises:
        ArtifactError: There is none.
    """
    if not found:
        raise ArtifactError("there is no image to draw the attention of.")
    layers = list(found[0].maps)[-MOST_LAYERS:]
    columns = 1 + len(layers) + bool(found[0].weights)
    width = PAGE if columns > 2 else PAGE * 0.75
    heights = [width / columns * min(e.image.shape[0] / e.image.shape[1], 1.5) for e in found]
    figure = new_figure(width, sum(heights) + 0.35 * len(found) + 0.9)
    figure.suptitle(_title(found[0]), x=0.01, ha="left", fontsize=8.5)
    panels = figure.subplots(len(found), columns, squeeze=False, height_ratios=heights)
    for row, each in zip(panels, found, strict=True):
        _draw_image(row[0], each)
        for axes, layer in zip(row[1:], layers, strict=False):
            _draw_map(axes, each, layer, _norm(found, layer))
            name = f"layer {shortened(layer, 26)}" if each is found[0] else " "
            axes.set_title(f" \n{name}", fontsize=7)  # as high as the image's: rows are level
        if each.weights:
            _draw_weights(row[-1], each.weights)
            if each is found[-1]:
                row[-1].set_xlabel("scale, shallow to deep")
    for column, layer in enumerate(layers, start=1):
        unseen = any(np.isnan(each.maps[layer]).any() for each in found)
        what = "Grad-CAM" if found[0].gradient else "attention"
        bar = _add_bar(figure, panels[:, column], _norm(found, layer), found[0].gradient)
        bar.set_label(f"{what}\n(dark: not seen)" if unseen else what, fontsize=7)
    return figure


def _title(each: Explanation) -> str:
    """Return what the figure shows."""
    if not each.gradient:
        return "Spatial attention: how much the model weighs each place"
    what = "the score" if each.label is None else "the probability of the class"
    return f"Grad-CAM: which places raise or lower {what}"


def _draw_image(axes: Axes, each: Explanation) -> None:
    """Draw the image with its score or class."""
    axes.imshow(each.image)
    axes.set_axis_off()
    title = f"score {each.score:.3f}" if each.label is None else f"{each.label} ({each.score:.2f})"
    axes.set_title(f"{shortened(each.name, 26)}\n{title}", loc="left", fontsize=7)


def _draw_map(axes: Axes, each: Explanation, layer: str, norm: Normalize) -> None:
    """Draw one map over the image in grey; what the model does not see stays dark."""
    values = each.maps[layer]
    grey = each.image.mean(axis=2) / 255.0
    axes.imshow(np.where(np.isnan(values), 0.35 * grey, grey), cmap="gray", vmin=0, vmax=1)
    share = np.abs(values) / max(abs(norm.vmin or 0), abs(norm.vmax or 1))
    alpha = np.nan_to_num(0.1 + 0.65 * share) if each.gradient else 0.6 * ~np.isnan(values)
    axes.imshow(
        np.nan_to_num(values),
        cmap=_colors(gradient=each.gradient),
        norm=norm,
        alpha=np.clip(alpha, 0, 1),
        interpolation="none",
    )
    axes.set_axis_off()


def _norm(found: Sequence[Explanation], layer: str) -> Normalize:
    """Return the range of a layer's colours: of all images, and even about 0 for Grad-CAM."""
    values = np.concatenate([each.maps[layer][~np.isnan(each.maps[layer])] for each in found])
    low, high = float(values.min()), float(values.max())
    if found[0].gradient:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    return Normalize(low, high if high > low else low + 1e-6)


def _colors(*, gradient: bool) -> str:
    """Return the name of the colours: red lowers and blue raises, or dark to bright."""
    return "RdBu" if gradient else "viridis"


def _add_bar(figure: Figure, axes: np.ndarray, norm: Normalize, gradient: bool) -> Colorbar:
    """Add the legend of one column's colours below it."""
    shown = ScalarMappable(norm, colormaps[_colors(gradient=gradient)])
    bar = figure.colorbar(shown, ax=list(axes), location="bottom", shrink=0.68, aspect=16, pad=0.03)
    bar.outline.set_visible(False)
    ends = ("lowers it", "raises it") if gradient else (f"{norm.vmin:.2f}", f"{norm.vmax:.2f}")
    bar.set_ticks([float(norm.vmin or 0), float(norm.vmax or 0)], labels=ends)
    return bar


def _draw_weights(axes: Axes, weights: dict[str, np.ndarray]) -> None:
    """Draw the weights of scales as bars, shallow to deep."""
    for index, (name, values) in enumerate(weights.items()):
        places = np.arange(len(values)) + 0.8 * (index / len(weights))
        label = shortened(name, 20) if len(weights) > 1 else None
        axes.bar(places, values, 0.75 / len(weights), color=color(index), label=label)
    count = max(len(values) for values in weights.values())
    axes.axhline(1 / count, color=MUTED, linestyle=":", linewidth=0.9)
    axes.set_xticks(range(count), [str(k + 1) for k in range(count)])
    axes.set_ylim(0, 1)
    axes.set_title("weight of each scale", fontsize=7)
    axes.set_box_aspect(1)
    if len(weights) > 1:
        axes.legend(fontsize=6)
