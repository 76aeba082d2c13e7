"""Images that a quantization looks at: the training images of a run's stream, or a folder's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cliqa.datasets.unlabelled import UnlabelledFolder
from cliqa.engine.streams import build_benchmark
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

BATCH = 16
"""Images of a batch."""


def training_images(scenario: Mapping[str, Any], count: int = 128, seed: int = 0) -> list[Tensor]:
    """Return training images of a stream, preprocessed as for an evaluation.

    As many are drawn from each experience: a quantization that has seen the last one alone would
    cut off what the earlier ones need. Crops of an image count as images.

    Args:
        scenario: The section.
        count: How many images, at least one an experience.
        seed: Of the draw.

    Returns:
        Batches (B, C, H, W) of one size each, float32.

    Raises:
        ConfigError: `count` is not positive, or the stream has no images.
        DatasetError: The data are wrong or missing.
    """
    check_count(count)
    if scenario.get("feature_type") is not None:
        raise ConfigError(
            f"scenario.feature_type='{scenario['feature_type']}': the model takes features, and "
            "there are no images to calibrate with. Compress the network that made the features."
        )
    benchmark = build_benchmark(dict(scenario))
    share = -(-count // len(benchmark.names))
    images: list[Tensor] = []
    for name in benchmark.names:
        data = benchmark.dataset(name, "train").eval()
        order = torch.randperm(len(data), generator=generator(seed, "calibration", name))
        images += [data[place][0] for place in sorted(order[:share].tolist())]
    return in_batches(images)


def folder_images(
    folder: str | Path, eval_transform: Sequence[Mapping[str, Any]], count: int = 128
) -> list[Tensor]:
    """Return the images of a folder, preprocessed.

    Args:
        folder: Image files, in folders of any depth.
        eval_transform: The preprocessing, as in a config.
        count: How many images at most.

    Returns:
        As `training_images`.

    Raises:
        ConfigError: `count` is not positive.
        DatasetError: There is no image, or one cannot be read.
    """
    check_count(count)
    pipeline = build_pipeline(eval_transform, "eval_transform", quality=False)
    source = UnlabelledFolder(folder)
    order = torch.randperm(len(source), generator=generator(0, "calibration"))
    return in_batches([pipeline(source.image(place)) for place in sorted(order[:count].tolist())])


def in_batches(images: Sequence[Tensor], size: int = BATCH) -> list[Tensor]:
    """Return images, or images in several crops, as batches of equal height and width.

    Args:
        images: (C, H, W) or (N, C, H, W) each.
        size: Images of a batch at most.

    >>> [tuple(batch.shape) for batch in in_batches([torch.zeros(3, 8, 8)] * 3, 2)]
    [(2, 3, 8, 8), (1, 3, 8, 8)]
    """
    groups: dict[tuple[int, ...], list[Tensor]] = {}
    for image in images:
        for one in image.flatten(0, -4) if image.ndim > 3 else image[None]:
            groups.setdefault(tuple(one.shape), []).append(one.float())
    return [batch for group in groups.values() for batch in torch.stack(group).split(size)]


def check_count(count: int) -> None:
    """Raise a ConfigError for a number of images that is not positive."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigError(f"calibration: the number of images must be at least 1, got {count!r}.")
