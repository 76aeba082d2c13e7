"""Mean and deviation of the images that pretrained weights expect, and a check of the transforms.

Weights that were trained on images of mean 0.5 (EfficientNet-Lite, many vision transformers) work
on images of ImageNet's mean too, only worse: nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

NEAR = 0.01
"""Differences up to here are roundings: 127 / 255 against 0.5."""


@dataclass(frozen=True)
class InputStatistics:
    """Mean and standard deviation of the images that weights were trained on.

    Attributes:
        mean: Of each channel, in levels 0..1.
        std: Of each channel, in levels 0..1.
        source: The weights, for messages.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str

    def differs(self, mean: Sequence[float], std: Sequence[float]) -> bool:
        """Return whether other values are more than a rounding away.

        >>> InputStatistics((0.5,), (0.5,), "x").differs([127 / 255], [128 / 255])
        False
        """
        pairs = [*zip(self.mean, mean, strict=False), *zip(self.std, std, strict=False)]
        return any(abs(ours - theirs) > NEAR for ours, theirs in pairs)

    @property
    def step(self) -> str:
        """The step of a config's transforms."""
        mean, std = ([round(value, 4) for value in values] for values in (self.mean, self.std))
        return f"dict(type='Normalize', mean={mean}, std={std})"


def statistics_of(model: nn.Module) -> InputStatistics | None:
    """Return what the pretrained part of a model expects, None if nothing is known."""
    found = (getattr(module, "input_statistics", None) for module in model.modules())
    return next((one for one in found if isinstance(one, InputStatistics)), None)


def check_normalisation(model: nn.Module, transforms: Mapping[str, Any]) -> None:
    """Warn of transforms that normalise images otherwise than pretrained weights expect.

    Args:
        model: The model.
        transforms: Configs of transforms by their key paths; None and unknown forms are ignored.
    """
    wanted = statistics_of(model)
    if wanted is None:
        return
    for where, steps in transforms.items():
        if not isinstance(steps, list | tuple):
            continue
        found = list(_normalisations(steps))
        if not found:
            problem = "does not normalise the images"
        elif any(wanted.differs(*values) for values in found):
            problem = "normalises the images with mean={}, std={}".format(*found[0])
        else:
            continue
        logger.warning(
            "%s %s, but %s expects %s. Set that, or the features are worse than they could be.",
            *(where, problem, wanted.source, wanted.step),
        )


def with_statistics(
    steps: Sequence[Mapping[str, Any]], wanted: InputStatistics | None
) -> list[dict[str, Any]]:
    """Return steps of transforms whose `Normalize` has the values that weights expect.

    Args:
        steps: The steps.
        wanted: The values; None changes nothing.
    """
    values = {} if wanted is None else {"mean": list(wanted.mean), "std": list(wanted.std)}
    return [{**step, **values} if _is_normalisation(step) else dict(step) for step in steps]


def _is_normalisation(step: object) -> bool:
    """Return whether a step is a `Normalize` with its values."""
    if not isinstance(step, Mapping) or not {"mean", "std"} <= set(step):
        return False
    return str(step.get("type")).rpartition(".")[2] == "Normalize"


def _normalisations(steps: object) -> Iterator[tuple[list[float], list[float]]]:
    """Yield mean and std of each `Normalize` in steps, nested ones too."""
    if isinstance(steps, list | tuple):
        for step in steps:
            yield from _normalisations(step)
    elif isinstance(steps, Mapping):
        if _is_normalisation(steps):
            yield list(steps["mean"]), list(steps["std"])
        else:
            yield from _normalisations(list(steps.values()))
