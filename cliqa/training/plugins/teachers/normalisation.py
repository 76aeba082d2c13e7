"""The normalisation of a data set's images, read from its transforms, undone and redone.

Legend: C channels, H W.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor
from torchvision.transforms import Normalize
from torchvision.transforms.v2 import Normalize as NormalizeV2

from cliqa.utils.errors import ConfigError

_INSIDE = (
    *("_flat_data", "_datasets", "_transform_groups", "_frozen_transform_groups"),
    *("transform_groups", "transform", "transforms", "steps"),
)
"""Attributes in which data sets of Avalanche and torchvision, and pipelines, keep transforms."""

TOLERANCE = 0.02
"""How far beyond 0..1 pixels may lie once the normalisation is undone."""


class Normalisation:
    """The means and standard deviations of a ``Normalize`` step.

    Args:
        mean: One value a channel, or one for all, in the units of pixels in 0..1.
        std: As many positive values.
        where: Whose arguments these are, for messages.

    Raises:
        ConfigError: The numbers of values differ, or a standard deviation is not positive.
    """

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], where: str = "LadderRehearsal"
    ) -> None:
        self.mean, self.std = tuple(map(float, mean)), tuple(map(float, std))
        if len(self.mean) != len(self.std) or not self.std or min(self.std) <= 0:
            raise ConfigError(
                f"{where}: mean={mean}, std={std}: one positive std per mean is needed."
            )

    def check(self, images: Tensor) -> None:
        """Refuse images (..., C, H, W) that have another normalisation.

        Raises:
            ConfigError: Without it, their pixels lie outside 0..1.
        """
        mean, std = self._like(images)
        low, high = (float(value) for value in (images * std + mean).aminmax())
        if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):  # NaN is refused too
            raise ConfigError(
                f"LadderRehearsal: without their normalisation (mean={self.mean}, std={self.std}) "
                f"the images have pixels in {low:.3g}..{high:.3g} instead of 0..1. Give those of "
                "your Normalize step: mean=[...], std=[...]."
            )

    def undo(self, images: Tensor) -> Tensor:
        """Return pixels in 0..1 of normalised images (..., C, H, W)."""
        mean, std = self._like(images)
        return (images * std + mean).clamp(0, 1)

    def redo(self, pixels: Tensor) -> Tensor:
        """Return normalised images of pixels (..., C, H, W) in 0..1."""
        mean, std = self._like(pixels)
        return (pixels - mean) / std

    def _like(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and std (C or 1, 1, 1)."""
        channels = images.shape[-3]
        if len(self.mean) not in (1, channels):
            raise ConfigError(
                f"LadderRehearsal: mean has {len(self.mean)} values, and the images have "
                f"{channels} channels. Give one value a channel: mean=[...], std=[...]."
            )
        mean, std = (images.new_tensor(v)[:, None, None] for v in (self.mean, self.std))
        return mean, std


def read_normalisation(data: object) -> Normalisation:
    """Return the normalisation in a data set's transforms, of training and of evaluation.

    Without a ``Normalize`` step it is that of pixels in 0..1.

    Args:
        data: A data set of Avalanche's, or of torchvision's.

    Raises:
        ConfigError: The transforms normalise in several ways.
    """
    found = {
        (tuple(map(float, step.mean)), tuple(map(float, step.std))) for step in _steps(data, set())
    }
    if len(found) > 1:
        shown = ", ".join(f"mean={list(mean)} std={list(std)}" for mean, std in sorted(found))
        raise ConfigError(
            f"LadderRehearsal: the transforms normalise in several ways ({shown}). Make them one, "
            "or give those of the images that reach the model: mean=[...], std=[...]."
        )
    mean, std = found.pop() if found else ((0.0,), (1.0,))
    return Normalisation(mean, std)


def _steps(value: Any, seen: set[int]) -> Iterator[Normalize | NormalizeV2]:  # noqa: ANN401
    """Yield the ``Normalize`` steps in a data set, a pipeline, or a group of such."""
    if isinstance(value, Normalize | NormalizeV2):
        yield value
        return
    if value is None or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        inside = list(value.values())
    elif isinstance(value, list | tuple):
        inside = list(value) if len(value) < 1000 else []  # samples, not transforms
    else:
        own = getattr(value, "__dict__", {})
        inside = [own[name] for name in _INSIDE if name in own]
    for one in inside:
        yield from _steps(one, seen)
