"""Structured pruning: whole channels leave the network, which is smaller and faster afterwards.

Fang et al., "DepGraph: Towards any structural pruning", CVPR 2023: layers that have to lose the
same channels (e.g. those that a sum joins) are a group, whose channels are ranked together. A
network has to be trained again after it: with half of its channels its outputs are useless.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cliqa.deploy.profiling import count_parameters
from cliqa.deploy.pruning.channel_groups import ChannelGroups, FeedForwardGroups
from cliqa.deploy.pruning.prunable import (
    check_prunable,
    fixed_layers,
    hidden_layers,
    plain_copy,
    probed,
    prunable_part,
)
from cliqa.models.complexity import count_macs
from cliqa.models.pruned import Step, apply_pruning, pruning_of
from cliqa.utils.errors import ConfigError, ModelError

IMPORTANCES = ("magnitude", "bn_scale", "random")


@dataclass(frozen=True)
class PruningReport:
    """The result of a pruning.

    Attributes:
        ratio: Share of the channels that was asked for.
        parameters: Before and after.
        macs: Multiply-accumulates of the example, per image, before and after.
        widths: Channels before and after of every layer whose outputs shrank, by name.
        step: The channels that were kept; see `cliqa.models.pruned`.
    """

    ratio: float
    parameters: tuple[int, int]
    macs: tuple[int, int]
    widths: dict[str, tuple[int, int]]
    step: Step

    def __str__(self) -> str:
        before, after = (sum(pair[k] for pair in self.widths.values()) for k in (0, 1))
        return (
            f"{1 - after / before:.0%} of the channels of {len(self.widths)} layers pruned: "
            f"{self.parameters[0]:,} -> {self.parameters[1]:,} parameters "
            f"({_share(self.parameters)} fewer), {self.macs[0] / 1e9:.4f} -> "
            f"{self.macs[1] / 1e9:.4f} GMACs ({_share(self.macs)} fewer)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report in plain types, without the indexes that were kept."""
        return {
            "ratio": self.ratio,
            "parameters": list(self.parameters),
            "macs": list(self.macs),
            "widths": {name: list(pair) for name, pair in self.widths.items()},
        }


def prune_channels(
    model: nn.Module,
    example: torch.Tensor,
    *,
    ratio: float,
    round_to: int = 16,
    importance: str = "magnitude",
    ignore: Sequence[str] = (),
    seed: int = 0,
    prune: Callable[[Step], Any] | None = None,
) -> PruningReport:
    """Remove the least important channels of a model's layers, in place.

    The outputs of the head stay as they are, and so does what cannot lose channels: the neck and
    the head of the HyperIQA family. Of a transformer the hidden units of its feed-forward networks
    are pruned, and nothing else; of a model of images and texts its image encoder alone. Adapters
    of LoRA that have not been trained shrink with their layers.

    Args:
        model: The model; it is left alone if it cannot be pruned. The step is added to
            ``model.pruning``. An optimizer over it has to be made anew.
        example: Images (1, C, H, W) as the model sees them, on its device.
        ratio: Share of the CHANNELS of each layer that is removed, 0..1. Half of the channels are
            three quarters of the parameters.
        round_to: A layer keeps a multiple of so many channels, the nearest one; one with fewer
            channels is left alone. Processors compute in blocks of 8 or 16.
        importance: The rank of channels: ``"magnitude"`` (L2 norm of all weights that a channel has
            in its group), ``"bn_scale"`` (the factors of batch normalisation) or ``"random"``.
        ignore: Names of parts whose outputs stay as they are; see `freeze_parts`.
        seed: Seed of ``"random"``.
        prune: Applies the step to the model, for those who keep more than the model in its shapes;
            None for `apply_pruning`.

    Returns:
        The report.

    Raises:
        ConfigError: A value is out of range.
        ModelError: The model cannot be pruned, or nothing is left to prune.
        ArtifactError: The library is missing.
    """
    check_values(ratio, round_to, importance)
    check_prunable(model, example)
    part = prunable_part(model)
    how = (fixed_layers(model, ignore), importance, seed)
    groups: ChannelGroups | FeedForwardGroups = (
        FeedForwardGroups(probed(model), *how)
        if hidden_layers(part)
        else ChannelGroups(probed(model), example, *how)
    )
    chosen: Any = groups
    for group in chosen.all():
        width = chosen.width(group)
        chosen.prune(group, width - kept_channels(width, ratio, round_to, chosen.fold(group)))
    step = groups.kept.step(getattr(model, "head", None))
    if not step["tensors"]:
        raise ModelError(
            f"the {type(model).__name__} has nothing left to prune with ratio={ratio:g} and "
            f"round_to={round_to}. Set a larger ratio, or a smaller round_to such as 8 or 1."
        )
    whole, pruned = plain_copy(model), plain_copy(model)  # what adapters add is no part of either
    apply_pruning(pruned, [*pruning_of(model), step])
    groups.kept.check_equal(pruned, example)
    report = PruningReport(
        ratio,
        (count_parameters(whole)["total"][0], count_parameters(pruned)["total"][0]),
        (_macs(whole, example), _macs(pruned, example)),
        groups.kept.widths(),
        step,
    )
    if prune is None:
        apply_pruning(model, pruning_of(pruned))
    else:
        prune(step)
    return report


def kept_channels(width: int, ratio: float, round_to: int = 1, fold: int = 1) -> int:
    """Return how many channels a layer keeps: the nearest multiple, at least one of them.

    Args:
        width: Channels of the layer.
        ratio: Share to remove, 0..1.
        round_to: The number should be a multiple of this.
        fold: The number must be a multiple of this, e.g. of the groups of a group normalisation.

    >>> [kept_channels(width, 0.3, 16) for width in (8, 16, 64, 256)]
    [8, 16, 48, 176]
    """
    unit = math.lcm(round_to, fold)
    if width <= unit:
        return width
    nearest = unit * round(width * (1 - ratio) / unit)
    return min(width, max(unit, nearest))


def check_values(ratio: float, round_to: int, importance: str = "magnitude") -> None:
    """Refuse options of a pruning that cannot work.

    Raises:
        ConfigError: A value is out of range or unknown.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, (int, float)) or not 0 < ratio < 1:
        raise ConfigError(
            f"pruning: ratio must lie between 0 and 1, got {ratio!r}. It is a share of the "
            "channels: 0.5 removes half of them, and about 75 % of the parameters."
        )
    if isinstance(round_to, bool) or not isinstance(round_to, int) or round_to < 1:
        raise ConfigError(f"pruning: round_to must be an integer >= 1, got {round_to!r}.")
    if importance not in IMPORTANCES:
        raise ConfigError(
            f"pruning: importance must be one of {', '.join(IMPORTANCES)}, got {importance!r}."
        )


def _macs(model: nn.Module, example: torch.Tensor) -> int:
    """Return the MACs of one image; the model's statistics stay as they are."""
    return count_macs(copy.deepcopy(model).eval(), example[:1])


def _share(pair: tuple[int, int]) -> str:
    """Return by which share a number fell."""
    return f"{1 - pair[1] / max(1, pair[0]):.0%}"
