"""The size of the images that a model gets: of a preprocessing, or named on a command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from cliqa.registry import SCENARIOS, find
from cliqa.transforms.pipeline import build_pipeline
from cliqa.transforms.protocol import own_crop_size
from cliqa.utils.errors import ConfigError

SIZE = (224, 224)
"""H and W where the preprocessing does not bring images to one size."""


def crops_and_size(
    steps: Sequence[Mapping[str, Any]] | None,
) -> tuple[int, tuple[int, int] | None]:
    """Return how many crops a preprocessing makes of an image, and their H and W.

    Returns:
        The crops, and (H, W), or None where they depend on the image.
    """
    if not steps:
        return 1, None
    pipeline = build_pipeline(steps, "scenario.eval_transform", quality=False)
    wide = pipeline(torch.zeros(3, 480, 640, dtype=torch.uint8))
    tall = pipeline(torch.zeros(3, 640, 480, dtype=torch.uint8))
    crops = wide.shape[0] if wide.ndim == 4 else 1
    if wide.shape != tall.shape:
        return crops, None
    height, width = wide.shape[-2:]
    return crops, (int(height), int(width))


def own_size(scenario: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the H and W of the images that a run's model works on.

    Args:
        scenario: The config's section of the data.

    Returns:
        What its evaluation's preprocessing gives; else the crops that it trains on; else the size
        of a published data set's images. None where they have sizes of their own.
    """
    size = crops_and_size(scenario.get("eval_transform"))[1]
    if size is not None:
        return size
    side = own_crop_size(scenario.get("train_transform") or ())
    if side is None and "type" in scenario:
        side = getattr(find(SCENARIOS, scenario, "scenario"), "side", None)
    return None if side is None else (side, side)


def parse_size(text: str, option: str = "--sizes") -> tuple[int, int]:
    """Return H and W of ``"224"`` or ``"384x512"`` (height first).

    Raises:
        ConfigError: The text is neither.

    >>> parse_size("224"), parse_size("384x512")
    ((224, 224), (384, 512))
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(f"{option} {text}: write 224, or height x width as 384x512.")
    return int(parts[0]), int(parts[-1])
