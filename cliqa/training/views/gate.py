"""Which experience a test sample resembles, told from features that never change."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.outputs import last_output
from cliqa.training.importance.trained_samples import samples_of
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.utils.errors import ConfigError, ModelError
from cliqa.utils.seed import derive_seed


class DomainGate:
    """Weights of experiences by the distance of a sample's features to their k-means centroids.

    The features are those of the network before any training (its pretrained weights, where it has
    some), brought to length 1, so that they stay the same over the stream. With d_t the squared
    distance to experience t's nearest centroid, its weight is ``softmax_t(-temperature * d_t)``
    (Zhang et al., "Task-specific normalization for continual learning of blind image quality
    models", 2024, weight their heads in this way).

    Args:
        centroids: Centroids of an experience, > 0; fewer where it has fewer samples.
        temperature: How sharply to decide, > 0.

    Raises:
        ConfigError: A number is not positive.
    """

    def __init__(self, centroids: int = 8, temperature: float = 32.0) -> None:
        if isinstance(centroids, bool) or not isinstance(centroids, int) or centroids < 1:
            raise ConfigError(f"gate: centroids must be a positive integer, got {centroids!r}.")
        if not temperature > 0:
            raise ConfigError(f"gate: temperature must be > 0, got {temperature!r}.")
        self.count = centroids
        self.temperature = temperature
        self.centroids: list[Tensor] = []  # an item an experience: (k, D)
        self._network: nn.Module | None = None
        self._state: dict[str, Tensor] | None = None

    def keep(self, model: nn.Module) -> None:
        """Keep a copy of the network, whose features decide from now on.

        A second call does nothing. After a state was taken over, the copy is the one of that state.

        Raises:
            ModelError: The model gives no features.
        """
        if self._network is not None:
            return
        if not hasattr(model, "features") and not hasattr(model, "extract_feat"):
            raise ModelError(
                f"inference='gate' needs a model that gives features; {type(model).__name__} has "
                "neither features() nor extract_feat(). Use QualityModel or ImageClassifier, or "
                "inference='last'."
            )
        self._network = copy.deepcopy(model).eval().requires_grad_(False)
        if self._state is not None:
            self._network.load_state_dict(self._state)
        self._state = None

    def add(self, strategy: Any, experience: int) -> None:  # noqa: ANN401
        """Find the centroids of an experience's training data.

        Args:
            strategy: The strategy, right after training.
            experience: The experience's index, which seeds the search.
        """
        found = [self.embed(inputs).cpu() for inputs, _ in samples_of(strategy)]
        features = torch.cat(found).double().numpy()  # (N, D)
        count = min(self.count, len(np.unique(features, axis=0)))
        seed = derive_seed(strategy.options.seed, "gate", experience) % 2**32
        centres, _ = kmeans2(features, count, minit="++", seed=seed, missing="warn")
        self.centroids.append(torch.as_tensor(centres, dtype=torch.float32))

    @torch.no_grad()
    def embed(self, images: Tensor | RaggedImages) -> Tensor:
        """Return unit features (B, D) of a batch, averaged over crops."""
        return F.normalize(apply_model(self._features, images).float())

    def _features(self, images: Tensor) -> Tensor:
        """Return the kept network's features (B, D)."""
        return pooled_features(self.network, images)

    @property
    def network(self) -> nn.Module:
        """The copy that was kept.

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
        """Take a state over; the network's tensors go in where it is, or as soon as it is kept."""
        self.centroids = [centres.cpu() for centres in state["centroids"]]
        if self._network is not None and state["network"] is not None:
            self._network.load_state_dict(state["network"])
        else:
            self._state = state["network"]


def pooled_features(network: Any, images: Tensor) -> Tensor:  # noqa: ANN401
    """Return a network's features (B, D); of several outputs the last, of maps the mean."""
    give = network.features if hasattr(network, "features") else network.extract_feat
    last = last_output(give(images), type(network).__name__)
    return last.flatten(2).mean(2) if last.dim() == 4 else last


def domain_weights(features: Tensor, centroids: Sequence[Tensor], temperature: float) -> Tensor:
    """Return the weight of every experience (B, T); see `DomainGate`.

    Args:
        features: Of length 1, (B, D).
        centroids: An item an experience, (k, D).
        temperature: How sharply to decide.
    """
    nearest = [torch.cdist(features, centres).square().amin(1) for centres in centroids]
    return (-temperature * torch.stack(nearest, dim=1)).softmax(1)
