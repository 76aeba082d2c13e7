"""All views of a model with their gate as one network, for use after training."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.lora.adapters import merge
from cliqa.training.views.gate import DomainGate, domain_weights, pooled_features


class GatedViews(nn.Module):
    """The outputs of all experiences' views, weighted for each image by a gate.

    It says what an evaluation with ``inference="gate"`` says. Of an image shown in several crops
    each is weighted by itself, while an evaluation's gate decides by the mean of their features.

    Args:
        views: The model as it is after each experience, merged where it has adapters. Parameters
            that are equal in all of them are kept once.
        gate: Decides.
    """

    def __init__(self, views: Sequence[nn.Module], gate: DomainGate) -> None:
        super().__init__()
        self.views = nn.ModuleList(views)
        self.look = copy.deepcopy(gate.network)
        for network in self.modules_that_look():
            merge(network)
        share_equal(self.modules_that_look())
        self.temperature = gate.temperature
        for index, centres in enumerate(gate.centroids):
            self.register_buffer(f"centroids_{index}", centres.clone())

    def modules_that_look(self) -> list[nn.Module]:
        """Return the views and the gate's network."""
        return [*self.views, self.look]

    def weights(self, images: Tensor) -> Tensor:
        """Return the weight of every experience (B, T) for images (B, C, H, W)."""
        features = F.normalize(pooled_features(self.look, images).float())
        centroids = [self.get_buffer(f"centroids_{index}") for index in range(len(self.views))]
        return domain_weights(features, centroids, self.temperature)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,) or logits (B, K) for images (B, C, H, W)."""
        outputs = torch.stack([view(images) for view in self.views], dim=1)  # (B, T, ...)
        weights = self.weights(images)  # (B, T)
        return ((weights[:, :, None] if outputs.dim() == 3 else weights) * outputs).sum(1)


def share_equal(networks: Sequence[nn.Module]) -> None:
    """Let networks share the parameters that are equal in them, by name.

    Args:
        networks: Of one architecture.
    """
    first = dict(networks[0].named_parameters())
    for network in networks[1:]:
        for name, parameter in list(network.named_parameters()):
            if name in first and torch.equal(parameter, first[name]):
                part, _, own = name.rpartition(".")
                setattr(network.get_submodule(part), own, first[name])
