"""Which families of degradation a model ranks rightly on given images.

Legend: N images, L levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from cliqa.evaluation.rank_accuracy import rank_accuracy
from cliqa.training.loop.batching import RaggedImages
from cliqa.training.plugins.teachers.degraded_copies import degraded
from cliqa.utils.errors import DatasetError
from cliqa.utils.progress import track
from cliqa.utils.seed import generator

Images = Tensor | RaggedImages
"""Images of one size (B, ..., C, H, W), or of several."""


@dataclass(frozen=True)
class FamilyResult:
    """How a model ranks the ladders of one family.

    Attributes:
        family: Its name.
        rank_accuracy: The share of pairs of levels of an image that are ranked rightly, 0..1; None
            where the family cannot be applied to the images.
        pairs: The number of pairs.
        drop: By how much the score falls from the image to its harshest level, in units of the
            scores, on the average.
        threshold: The least accuracy of a family that is kept.
        kept: Whether it is.
        reason: Why not, in words; empty for a family that is kept.
    """

    family: str
    rank_accuracy: float | None
    pairs: int
    drop: float | None
    threshold: float
    kept: bool
    reason: str = ""

    def to_row(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def __str__(self) -> str:
        measured = "" if self.rank_accuracy is None else f" {self.rank_accuracy:.2f}"
        return f"{self.family}{measured}"


class ScoredImages(NamedTuple):
    """A batch of images, and a model that scores them.

    Attributes:
        pixels: Their pixels in 0..1.
        score: Pixels in 0..1 -> scores (B,), higher = better.
    """

    pixels: Images
    score: Callable[[Images], Tensor]


def on_each(images: Images, change: Callable[[Tensor], Tensor]) -> Images:
    """Return images after a change, also those of several sizes."""
    if isinstance(images, RaggedImages):
        return RaggedImages(change(image) for image in images)
    return change(images)


def ladder_scores(batches: Iterable[ScoredImages], family: str, levels: int, seed: int) -> Tensor:
    """Return a model's scores (N, L + 1) of images and their degraded copies, the mildest first.

    Args:
        batches: The images.
        family: The degradation.
        levels: L, evenly spaced from the mildest to the harshest severity.
        seed: Of the randomness, which all levels of an image share.
    """
    rows = []
    for number, (pixels, score) in enumerate(batches):
        columns = [score(pixels)]
        for place in np.linspace(0, 1, levels).tolist():
            draw = generator(seed, "ladder", family, number)
            columns.append(score(on_each(pixels, partial(_rung, family, place, draw))))
        rows.append(torch.stack(columns, dim=1))
    return torch.cat(rows)


def _rung(family: str, place: float, draw: torch.Generator, pixels: Tensor) -> Tensor:
    """Return pixels (C, H, W) or (..., C, H, W) at one level of a ladder."""
    if pixels.dim() == 3:
        return degraded(pixels[None], family, place, draw)[0]
    return degraded(pixels, family, place, draw)


def measure_families(
    score: Callable[[str], Tensor], families: Sequence[str], threshold: float, strict: bool = False
) -> list[FamilyResult]:
    """Return how a model ranks the ladders of each family.

    Args:
        score: A family's name -> scores (N, L); a `DatasetError` says that it cannot be applied.
        families: Their names.
        threshold: The least rank accuracy of a family that is kept.
        strict: Refuse a family that cannot be applied; else it is not kept.

    Raises:
        DatasetError: A family cannot be applied to these images.
        EvaluationError: A score is not finite.
    """
    rows = track(families, "ladders")
    return [_measured(score, family, threshold, strict) for family in rows]


def _measured(
    score: Callable[[str], Tensor], family: str, threshold: float, strict: bool
) -> FamilyResult:
    """Return how a model ranks the ladders of one family."""
    try:
        scores = score(family)
    except DatasetError as error:  # colours of grey images, or a codec that is not there
        if strict:
            raise
        return FamilyResult(family, None, 0, None, threshold, False, str(error))
    accuracy = rank_accuracy(scores)
    levels = scores.shape[1]
    pairs = len(scores) * levels * (levels - 1) // 2
    drop = float((scores[:, 0] - scores[:, -1]).mean())
    kept = accuracy >= threshold
    reason = "" if kept else f"rank accuracy {accuracy:.3f} < {threshold:g}"
    return FamilyResult(family, accuracy, pairs, drop, threshold, kept, reason)
