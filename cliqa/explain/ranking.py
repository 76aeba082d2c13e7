"""How a model ranks versions of an image at rising degradation: the scores and their figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cliqa.evaluation.mean_interval import mean_interval
from cliqa.inference.predict import Predictor
from cliqa.transforms.decode import read_image
from cliqa.transforms.degradations.synthetic import SyntheticDegradation
from cliqa.utils.errors import ArtifactError, ModelError
from cliqa.visualization.style import (
    COLUMN,
    MUTED,
    PAGE,
    color,
    marker,
    new_figure,
    shortened,
    styled,
)


def rank_degradations(
    predictor: Predictor, path: Path, kinds: Sequence[str], levels: int = 5, seed: int = 0
) -> list[Ladder]:
    """Return an image's scores at rising degradation, one ladder a degradation.

    Args:
        predictor: The model with its preprocessing.
        path: The image.
        kinds: Families of `SyntheticDegradation`.
        levels: Degraded versions L.
        seed: Of the noise.

    Raises:
        ConfigError: A degradation is unknown, or has fewer levels.
        DatasetError: The image cannot be read.
        ModelError: The model gives classes.
    """
    damages = {kind: SyntheticDegradation(kind, levels, pristine=True, seed=seed) for kind in kinds}
    if predictor.classes:
        raise ModelError(f"{predictor.checkpoint}: gives classes, and a ranking needs scores.")
    image = read_image(path)
    ladders = []
    for kind, degraded in damages.items():
        versions = degraded(image)
        scores = np.array([float(predictor.score(version)) for version in versions])
        ladders.append(
            Ladder(path.name, kind, [v.permute(1, 2, 0).numpy() for v in versions], scores)
        )
    return ladders


INTERVAL_IMAGES = 5
"""Fewest images of which intervals are drawn: of two or three they hide the curves."""

SHOWN = 256
"""Edge of the part of an image that a strip shows, in pixels: damage is seen at full size alone."""


@dataclass(frozen=True)
class Ladder:
    """One image at rising degradation.

    Attributes:
        name: The image's name.
        kind: The distortion.
        images: The image itself and its L degraded versions, uint8 (H, W, 3) each.
        scores: Their predicted scores, (L + 1,), 0..1, higher = better.
    """

    name: str
    kind: str
    images: Sequence[np.ndarray]
    scores: np.ndarray

    @property
    def ordered(self) -> float:
        """The share of the pairs of versions that the model ranks rightly, 0..1; a tie is half."""
        gaps = self.scores[:, None] - self.scores[None, :]
        above = gaps[np.triu_indices(len(self.scores), 1)]
        return float(np.mean(np.where(above == 0, 0.5, above > 0)))


@styled
def draw_strip(ladders: Sequence[Ladder]) -> Figure:
    """Draw one image's versions with their scores, a row a distortion, and the scores as curves.

    The middle of the image is shown at its own resolution, as wide as the page allows.

    Args:
        ladders: Those of one image, with as many levels each.

    Raises:
        ArtifactError: There is none.
    """
    if not ladders:
        raise ArtifactError("there is no ladder to draw.")
    levels = len(ladders[0].scores)
    cell = PAGE / levels
    curve = 1.5  # inches
    figure = new_figure(PAGE, (cell + 0.28) * len(ladders) + curve + 0.9)
    halves = figure.add_gridspec(2, 1, height_ratios=[(cell + 0.28) * len(ladders), curve + 0.4])
    grid = halves[0].subgridspec(len(ladders), levels)
    below = halves[1].subgridspec(1, len(ladders))
    shared: Axes | None = None
    for row, ladder in enumerate(ladders):
        for level, (image, score) in enumerate(zip(ladder.images, ladder.scores, strict=True)):
            axes = figure.add_subplot(grid[row, level])
            axes.imshow(_middle(image), interpolation="none")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            axes.set_xlabel(f"{score:.3f}", labelpad=2, color=color(row), weight="bold")
            if row == 0:
                axes.set_title(f"level {level}" if level else "as it is", weight="normal", size=7)
            if level == 0:
                axes.set_ylabel(ladder.kind, color=color(row), weight="bold")
        shared = figure.add_subplot(below[row], sharex=shared, sharey=shared)
        _draw_curve(shared, ladder, row)
        shared.tick_params(labelleft=row == 0)
        if row == 0:
            shared.set_ylabel("score", labelpad=1)
    figure.suptitle(shortened(ladders[0].name, 40), x=0.01, ha="left", size=8.5, weight="bold")
    return figure


def _draw_curve(axes: Axes, ladder: Ladder, index: int) -> None:
    """Draw one ladder's scores, and how many pairs are in the right order."""
    levels = np.arange(len(ladder.scores))
    axes.plot(levels, ladder.scores, f"-{marker(index)}", color=color(index))
    axes.set_xticks(levels)
    axes.set_xlabel("level of degradation")
    axes.grid(axis="y")
    axes.set_title(
        f"{ladder.kind}: {ladder.ordered:.0%} of pairs in order".replace("%", " %"),
        size=7,
        weight="normal",
    )


def _middle(image: np.ndarray) -> np.ndarray:
    """Return the middle square of an image, of at most `SHOWN` pixels."""
    height, width = image.shape[:2]
    side = min(height, width, SHOWN)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


@styled
def draw_ranking(ladders: Sequence[Ladder]) -> Figure:
    """Draw how the score of several images changes with the level of degradation, on average.

    Bars are Student's 95 % intervals of the mean over the images; of fewer than `INTERVAL_IMAGES`
    images each one's own curve is drawn in their place. The changes are each image's own, so that
    how good the images were to begin with adds nothing to them.

    Args:
        ladders: Those of two images or more, with as many levels each.

    Raises:
        ArtifactError: A distortion has fewer than two images.
    """
    kinds = list(dict.fromkeys(ladder.kind for ladder in ladders))
    figure = new_figure(COLUMN * 1.25, 3.2)
    axes = figure.add_subplot()
    for index, kind in enumerate(kinds):
        same = [ladder for ladder in ladders if ladder.kind == kind]
        if len(same) < 2:
            raise ArtifactError(f"{kind}: a mean needs two images or more, there is {len(same)}.")
        _draw_mean(axes, kind, same, index, (index - (len(kinds) - 1) / 2) * 0.12)
    count = len({ladder.name for ladder in ladders})
    axes.set_xlabel("level of degradation (0: as it is)")
    how = "bar: 95 % interval" if count >= INTERVAL_IMAGES else "thin: each image"
    axes.set_ylabel(f"mean change of the score, n = {count}\n({how})")
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.grid(axis="y")
    handles, names = axes.get_legend_handles_labels()
    title = "pairs of versions in the right order"
    figure.legend(
        handles, names, title=title, title_fontsize=7, loc="outside upper center", ncols=4
    )
    return figure


def _draw_mean(axes: Axes, kind: str, ladders: Sequence[Ladder], index: int, aside: float) -> None:
    """Draw one distortion's mean scores with their intervals."""
    changes = np.stack([each.scores - each.scores[0] for each in ladders])  # (N, L + 1)
    found = [mean_interval(column.tolist()) for column in changes.T]
    mean = np.array([each.mean for each in found], dtype=float)
    reach = np.array([each.high for each in found], dtype=float) - mean
    few = len(ladders) < INTERVAL_IMAGES
    for own in changes if few else ():
        axes.plot(np.arange(len(mean)) + aside, own, color=color(index), linewidth=0.5, alpha=0.6)
    ordered = float(np.mean([ladder.ordered for ladder in ladders]))
    axes.errorbar(
        np.arange(len(mean)) + aside,
        mean,
        None if few else reach,
        color=color(index),
        marker=marker(index),
        elinewidth=1,
        label=f"{kind} {ordered:.0%}".replace("%", " %"),
    )
    axes.set_xticks(np.arange(len(mean)))
