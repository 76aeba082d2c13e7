"""The hidden units of a transformer's feed-forward networks, which nothing else depends on."""

from __future__ import annotations

import torch
from torch import nn

from cliqa.deploy.pruning.channel_groups import least_important
from cliqa.deploy.pruning.kept_channels import KeptChannels
from cliqa.deploy.pruning.prunable import hidden_layers

Pair = tuple[nn.Linear, nn.Linear]
"""The layers before and behind the hidden units."""


class FeedForwardGroups:
    """Groups as `ChannelGroups` has them: the hidden units of each feed-forward network.

    Args:
        model: A copy of the model that may be changed.
        fixed: Names of layers whose outputs stay as they are.
        importance: ``"magnitude"`` or ``"random"``; there are no factors for ``"bn_scale"``.
        seed: Seed of the importance ``"random"``.
    """

    def __init__(self, model: nn.Module, fixed: set[str], importance: str, seed: int) -> None:
        self.kept = KeptChannels(model)
        self._fixed = fixed
        self._importance = importance
        self._random = torch.Generator().manual_seed(seed)

    def all(self) -> list[Pair]:
        """Return the groups."""
        model = self.kept.model
        layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
        chosen = [model.get_submodule(k) for k in hidden_layers(model) if k not in self._fixed]
        pairs = [(layers[k], layers[k + 1]) for k, layer in enumerate(layers) if layer in chosen]
        return [pair for pair in pairs if pair[1].in_features == pair[0].out_features]

    def width(self, group: Pair) -> int:
        """Return the hidden units of a group."""
        return group[0].out_features

    def fold(self, group: Pair) -> int:
        """Return into how many equal parts a group's channels are taken: one."""
        return 1

    @torch.no_grad()
    def prune(self, group: Pair, count: int) -> None:
        """Remove the `count` least important hidden units of a group."""
        first, second = group
        if count <= 0 or self._importance == "bn_scale":
            return
        scores = first.weight.square().sum(1) + second.weight.square().sum(0)  # (H,)
        if self._importance == "random":
            scores = torch.rand(len(scores), generator=self._random)
        gone = least_important(scores.cpu(), count)
        self.kept.record(first, True, gone)
        self.kept.record(second, False, gone)
        left = torch.ones(first.out_features, dtype=torch.bool)
        left[gone] = False
        first.weight = nn.Parameter(first.weight[left])
        if first.bias is not None:
            first.bias = nn.Parameter(first.bias[left])
        second.weight = nn.Parameter(second.weight[:, left])
        first.out_features = second.in_features = int(left.sum())
