"""A gate that weights experiences by a test sample's distance in a fixed feature space."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer, check_positive
from cliqa.models.lora.adapters import merge
from cliqa.models.outputs import last_output
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ModelError
from cliqa.utils.seed import derive_seed


class DomainGate:
    """Weights of experiences by the distance of a sample's features to k-means centroids.

    The features are those of the network before training (with its pretrained weights, if any),
    normalised to length 1, so that they stay the same over the stream. With d_t the squared
    distance to experience t's nearest centroid, its weight is ``softmax_t(-temperature * d_t)``
    (Zhang et al., "Task-specific normalization for continual learning of blind image quality
    models", 2024).

    Args:
        centroids: Centroids per experience, > 0; fewer if it has fewer samples.
        temperature: Sharpness of the weights, > 0.

    Raises:
        ConfigError: A number is not positive.
    """

    def __init__(self, centroids: int = 8, temperature: float = 32.0) -> None:
        check_integer("gate", 1, centroids=centroids)
        check_positive("gate", temperature=temperature)
        self.count = centroids
        self.temperature = temperature
        self.centroids: list[Tensor] = []  # one per experience: (k, D)
        self._network: nn.Module | None = None
        self._state: dict[str, Tensor] | None = None

    def keep(self, model: nn.Module) -> None:
        """Copy the network, whose features are used from now on.

        A second call does nothing. After `load_state_dict` the copy has that state's weights.

        Raises:
            ModelError: The model has no method for features.
        """
        if self._network is not None:
            return
        if not hasattr(model, "features") and not hasattr(model, "extract_feat"):
            raise ModelError(
                f"inference='gate' needs a model with features; {type(model).__name__} has "
                "neither features() nor extract_feat(). Use QualityModel or ImageClassifier, or "
                "inference='last'."
            )
        self._network = copy.deepcopy(model).eval().requires_grad_(False)
        if self._state is not None:
            self._network.load_state_dict(self._state)
        self._state = None

    def add(self, strategy: Strategy, experience: int) -> None:
        """Compute the centroids of an experience's training data.

        Args:
            strategy: The strategy, right after training.
            experience: The experience's index, for the seed.
        """
        found = [self.embed(inputs).cpu() for inputs, _ in strategy.training_samples()]
        features = torch.cat(found).double().numpy()  # (N, D)
        count = min(self.count, len(np.unique(features, axis=0)))
        seed = derive_seed(strategy.options.seed, "gate", experience) % 2**32
        centres, _ = kmeans2(features, count, minit="++", seed=seed, missing="warn")
        self.centroids.append(torch.as_tensor(centres, dtype=torch.float32))

    @torch.no_grad()
    def embed(self, images: Tensor | RaggedImages) -> Tensor:
        """Return unit features (B, D) of a batch, averaged over crops."""
        return F.normalize(apply_model(lambda x: pooled_features(self.network, x), images).float())

    @property
    def network(self) -> nn.Module:
        """The copied network.

        Raises:
            ModelError: There is none yet.
        """
        if self._network is None:
            raise ModelError("the gate has no network yet. Call keep(model) first.")
        return self._network

    def weights(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the weight of every experience (B, T) for a batch; rows sum to 1."""
        features = self.embed(images)  # (B, D)
        centroids = [centres.to(features.device) for centres in self.centroids]
        return domain_weights(features, centroids, self.temperature)

    def state_dict(self) -> dict[str, Any]:
        """Return the centroids and the network's tensors."""
        network = self._state if self._network is None else self._network.state_dict()
        return {"centroids": self.centroids, "network": network}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state; the network's tensors are loaded now, or when the network is copied."""
        self.centroids = [centres.cpu() for centres in state["centroids"]]
        if self._network is not None and state["network"] is not None:
            self._network.load_state_dict(state["network"])
        else:
            self._state = state["network"]


def pooled_features(network: nn.Module, images: Tensor) -> Tensor:
    """Return a network's features (B, D): the last of several outputs, the mean of maps."""
    give: Any = network.features if hasattr(network, "features") else network.extract_feat
    last = last_output(give(images), type(network).__name__)
    return last.flatten(2).mean(2) if last.dim() == 4 else last


def domain_weights(features: Tensor, centroids: Sequence[Tensor], temperature: float) -> Tensor:
    """Return the weight of every experience (B, T); see `DomainGate`.

    Args:
        features: Unit vectors, (B, D).
        centroids: One tensor per experience, (k, D).
        temperature: Sharpness of the weights.
    """
    nearest = [torch.cdist(features, centres).square().amin(1) for centres in centroids]
    return (-temperature * torch.stack(nearest, dim=1)).softmax(1)


class GatedViews(nn.Module):
    """The views of all experiences with their gate as one network.

    Its outputs match an evaluation with ``inference="gate"``. Crops of an image are weighted one by
    one, while an evaluation's gate uses the mean of their features.

    Args:
        views: The model after each experience, with adapters merged. Parameters that are equal in
            all of them are stored once.
        gate: The gate.
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
    """Share the parameters that are equal in several networks, by name.

    Args:
        networks: Of one architecture.
    """
    first = dict(networks[0].named_parameters())
    for network in networks[1:]:
        for name, parameter in list(network.named_parameters()):
            if name in first and torch.equal(parameter, first[name]):
                part, _, own = name.rpartition(".")
                setattr(network.get_submodule(part), own, first[name])
