"""Which images are worth a label: those that a model is unsure of, or that cover the others.

Legend: N images, L looks at an image, K outputs an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cliqa.inference.predict import Predictor
from cliqa.models.arguments import check_choice, check_integer
from cliqa.training.plugins.rehearsal.selection import (
    check_features,
    coverage_order,
    disagreement,
    largest_order,
)
from cliqa.training.views.gate import pooled_features
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

BY = ("coverage", "uncertainty", "random")
SHARE = 7 / 8
"""Side of a look, as a share of the image's."""


@torch.no_grad()
def images_to_label(
    predictor: Predictor,
    paths: Sequence[Path],
    count: int,
    by: str = "coverage",
    labelled: Sequence[Path] = (),
    seed: int = 0,
) -> list[Path]:
    """Return the images to label first, in order; no label is read.

    Args:
        predictor: The model that has learnt the earlier data.
        paths: The images that could be labelled.
        count: How many to choose, > 0; all where there are fewer.
        by: ``"coverage"``: each is the farthest, by the model's features, from those before it and
            from the labelled ones (Sener & Savarese, 2018); ``"uncertainty"``: the model disagrees
            most with itself over eight looks, the corners and their mirror images: by the standard
            deviation of the score, of classes by the entropy of the mean probabilities;
            ``"random"``.
        labelled: Images that have labels already; they are not chosen.
        seed: Seed of the draw, and between equal images.

    Raises:
        ConfigError: `count` or `by` is wrong, or no image is left.
        DatasetError: An image cannot be read.
        ModelError: The model has no features to cover.
    """
    check_integer("images_to_label", 1, count=count)
    check_choice("images_to_label", BY, by=by)
    known = {path.resolve() for path in labelled}
    left = sorted({path for path in paths if path.resolve() not in known})
    if not left:
        raise ConfigError("no image is left to choose from: all that were given are labelled.")
    drawn = torch.randperm(len(left), generator=generator(seed, "labels")).tolist()
    left = [left[k] for k in drawn]
    if by == "random":
        return left[:count]
    if by == "uncertainty":
        order = largest_order(uncertainty(predictor, left))
    else:
        old = _features(predictor, sorted(labelled)) if labelled else None
        order = coverage_order(_features(predictor, left), count, old)
    return [left[k] for k in order[:count].tolist()]


def uncertainty(predictor: Predictor, paths: Sequence[Path]) -> Tensor:
    """Return how far the model disagrees with itself over looks at each image, (N,)."""

    def look(images: Tensor) -> Tensor:
        outputs = [predictor.image_model(one) for one in looks(images)]
        return torch.stack(outputs, dim=1)  # (B, L) or (B, L, K)

    return disagreement(predictor.outputs(paths, look).float().transpose(0, 1))


def looks(images: Tensor) -> list[Tensor]:
    """Return eight looks at images (B, C, H, W): the corners, and their mirror images."""
    height, width = (max(1, round(SHARE * side)) for side in images.shape[-2:])
    tops = (slice(0, height), slice(images.shape[-2] - height, None))
    lefts = (slice(0, width), slice(images.shape[-1] - width, None))
    corners = [images[..., top, left] for top in tops for left in lefts]
    return [*corners, *(corner.flip(-1) for corner in corners)]


def _features(predictor: Predictor, paths: Sequence[Path]) -> Tensor:
    """Return the model's features (N, D)."""
    model = predictor.model
    check_features("coverage", model, "Choose by 'uncertainty' or 'random'.")
    return predictor.outputs(paths, lambda images: pooled_features(model, images)).float()
