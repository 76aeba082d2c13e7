"""The published gate, by k-means centroids, and all views with their gate as one network."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.arguments import check_integer, check_positive
from cliqa.models.backbones.levels import Levels, find_levels, level_statistics, pooled_features
from cliqa.models.lora.adapters import merge
from cliqa.training.loop.batching import RaggedImages
from cliqa.training.strategy import Strategy
from cliqa.training.views.base import Gate, Rule, check_names, first_images
from cliqa.utils.seed import derive_seed


class DomainGate(Gate):
    """Weights by the distance of an image's features to k-means centroids of each experience.

    The features are the network's last, pooled and of length 1. With d_t the distance to experience
    t's nearest centroid, its weight is ``softmax_t(-temperature * d_t)``, or with `squared`
    ``softmax_t(-temperature * d_t^2)``.

    ``gate="kmeans"`` is that of Zhang et al., "Task-specific normalization for continual learning
    of blind image quality models", IEEE TIP 2024: 128 centroids, the best of 20 starts, temperature
    32, plain distances. Their released code weights by the mean over two stages of a ResNet, which
    is ``levels=["layer3", "layer4"]``. The defaults here are this package's earlier gate.

    Args:
        centroids: Centroids per experience, > 0; fewer if it has fewer samples.
        temperature: Sharpness of the weights, > 0.
        squared: Whether distances are squared.
        starts: Runs of k-means; the one with the smallest distances counts.
        levels: Modules of the backbone whose pooled maps are compared, each for itself; the
            weights are averaged. None for the network's last features.

    Raises:
        ConfigError: A number is not positive.
    """

    kind = "kmeans"

    def __init__(
        self,
        centroids: int = 8,
        temperature: float = 32.0,
        squared: bool = True,
        starts: int = 1,
        levels: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        check_integer("gate", 1, centroids=centroids, starts=starts)
        check_positive("gate", temperature=temperature)
        check_names("gate", levels)
        self.count, self.starts = centroids, starts
        self.temperature, self.squared = temperature, squared
        self.levels = None if levels is None else list(levels)
        self.centroids: list[Tensor] = []  # one per experience: (k, D), levels side by side
        self._found: Levels = {}
        self._widths: list[int] = []  # of the levels; empty without any

    def add(self, strategy: Strategy, experience: int) -> None:
        """Compute the centroids of an experience's training data."""
        found = strategy.rows_of(lambda inputs: self._first_look(inputs).embed(inputs))
        features = found.double().numpy()  # (N, D)
        seed = derive_seed(strategy.options.seed, "gate", experience) % 2**32
        parts = np.split(features, np.cumsum(self._widths)[:-1], 1) if self._widths else [features]
        centres = [nearest_centres(part, self.count, self.starts, seed) for part in parts]
        least = min(len(part) for part in centres)
        joined = np.concatenate([part[:least] for part in centres], axis=1)
        self.centroids.append(torch.as_tensor(joined, dtype=torch.float32))

    def _first_look(self, images: Tensor | RaggedImages) -> DomainGate:
        """Find the levels once."""
        if self.levels is not None and not self._widths:
            shown = first_images(images)
            self._found = find_levels(self.network, shown, self.levels)
            widths = [
                level_statistics(self.network, shown, {name: layout}, ["mean"]).shape[1]
                for name, layout in self._found.items()
            ]
            self._widths = widths
        return self

    def embed(self, images: Tensor | RaggedImages) -> Tensor:
        """Return unit features (B, D) of a batch, averaged over crops."""
        return self.rule().unit(super().embed(images))

    def weights(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the weight of every experience (B, T) for a batch; rows sum to 1."""
        features = self.embed(images)
        return self.rule().to(features.device).weigh(features)

    def rule(self) -> NearestCentroids:
        """Return the centroids as a module."""
        form = (self.temperature, self.squared, self._found, self._widths)
        return NearestCentroids(self.centroids, *form)

    def state_dict(self) -> dict[str, Any]:
        """Return the centroids, the levels and the network's tensors."""
        own = {"centroids": self.centroids, "levels": self._found, "widths": self._widths}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state, of earlier versions too, which had no levels."""
        self.centroids = [centres.cpu() for centres in state["centroids"]]
        self._found, self._widths = state.get("levels", {}), state.get("widths", [])
        super().load_state_dict(state)


class NearestCentroids(Rule):
    """Weights by nearest centroids; see `DomainGate`.

    Args:
        centroids: One tensor per experience, (k, D).
        temperature: Sharpness of the weights.
        squared: Whether distances are squared.
        levels: What `find_levels` found; empty for the network's last features.
        widths: Features of each level.
    """

    def __init__(
        self,
        centroids: Sequence[Tensor],
        temperature: float,
        squared: bool = True,
        levels: Levels | None = None,
        widths: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.temperature, self.squared = temperature, squared
        self.levels, self.widths = levels or {}, list(widths)
        self.count = len(centroids)
        for index, centres in enumerate(centroids):
            self.register_buffer(f"centroids_{index}", centres.clone())

    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return pooled features (B, D) of the levels, side by side."""
        if not self.widths:
            return pooled_features(network, images).float()
        return level_statistics(network, images, self.levels, ["mean"])

    def unit(self, features: Tensor) -> Tensor:
        """Return features (B, D) with those of each level scaled to length 1."""
        parts = features.split(self.widths or [features.shape[1]], 1)
        return torch.cat([F.normalize(part.float()) for part in parts], dim=1)

    def weigh(self, features: Tensor) -> Tensor:
        """Return the weight of every experience (B, T) for unit features (B, D)."""
        centroids = [self.get_buffer(f"centroids_{index}") for index in range(self.count)]
        widths = self.widths or [features.shape[1]]
        own = zip(*(centres.split(widths, 1) for centres in centroids), strict=True)
        parts = [
            domain_weights(part, level, self.temperature, self.squared)
            for part, level in zip(features.split(widths, 1), own, strict=True)
        ]
        return torch.stack(parts).mean(0) if len(parts) > 1 else parts[0]

    def forward(self, features: Tensor) -> Tensor:
        """Return the weight of every experience (B, T) for pooled features (B, D)."""
        return self.weigh(self.unit(features))


def nearest_centres(points: np.ndarray, count: int, starts: int, seed: int) -> np.ndarray:
    """Return k-means centres (k, D) of points (N, D): the best of several starts."""
    count = min(count, len(np.unique(points, axis=0)))
    if starts == 1:
        return np.asarray(kmeans2(points, count, minit="++", seed=seed, missing="warn")[0])
    best: tuple[float, np.ndarray] | None = None
    for start in range(starts):
        centres, _ = kmeans2(points, count, iter=30, minit="++", seed=(seed + start) % 2**32)
        spread = float(cdist(points, centres).min(1).__pow__(2).sum())
        if best is None or spread < best[0]:
            best = spread, np.asarray(centres)
    return best[1]  # type: ignore[index]


def domain_weights(
    features: Tensor, centroids: Sequence[Tensor], temperature: float, squared: bool = True
) -> Tensor:
    """Return the weight of every experience (B, T); see `DomainGate`.

    Args:
        features: Unit vectors, (B, D).
        centroids: One tensor per experience, (k, D).
        temperature: Sharpness of the weights.
        squared: Whether distances are squared.
    """
    # a plain distance by a matrix product depends on the batch; earlier versions' squared ones stay
    mode = "use_mm_for_euclid_dist_if_necessary" if squared else "donot_use_mm_for_euclid_dist"
    apart = [torch.cdist(features, c, compute_mode=mode).amin(1) for c in centroids]
    nearest = torch.stack(apart, dim=1)
    return (-temperature * (nearest.square() if squared else nearest)).softmax(1)


class GatedViews(nn.Module):
    """The views of all experiences with their gate as one network.

    Its outputs match an evaluation with ``inference="gate"``. Crops of an image are weighted one by
    one, while an evaluation's gate uses the mean of their features.

    Args:
        views: The model after each experience, with adapters merged. Parameters that are equal in
            all of them are stored once.
        gate: The gate.
    """

    def __init__(self, views: Sequence[nn.Module], gate: Gate) -> None:
        super().__init__()
        self.views = nn.ModuleList(views)
        self.look = copy.deepcopy(gate.network)
        for network in self.modules_that_look():
            merge(network)
        share_equal(self.modules_that_look())
        self.rule = gate.rule()

    def modules_that_look(self) -> list[nn.Module]:
        """Return the views and the gate's network."""
        return [*self.views, self.look]

    def weights(self, images: Tensor) -> Tensor:
        """Return the weight of every experience (B, T) for images (B, C, H, W)."""
        found: Tensor = self.rule(self.rule.features(self.look, images))
        return found

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
