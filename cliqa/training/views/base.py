"""The base of gates: weights of experiences for an image, by features that never change."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError, ModelError


class Gate(ABC):
    """Weights of experiences for an image, from features of the network before training.

    The network is copied with its pretrained weights, if any, before it is trained, so that an
    image's features stay the same over the stream.
    """

    kind: ClassVar[str]
    """Its name in a config and in a state."""

    def __init__(self) -> None:
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

    @property
    def network(self) -> nn.Module:
        """The copied network.

        Raises:
            ModelError: There is none yet.
        """
        if self._network is None:
            raise ModelError("the gate has no network yet. Call keep(model) first.")
        return self._network

    @abstractmethod
    def add(self, strategy: Strategy, experience: int) -> None:
        """Learn an experience's training data.

        Args:
            strategy: The strategy, right after training.
            experience: The experience's index, for the seed.
        """

    @abstractmethod
    def rule(self) -> Rule:
        """Return what is learnt so far, as a module of tensors: it is part of an exported file."""

    @torch.no_grad()
    def embed(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the features (B, D) of a batch that the rule weighs, averaged over crops."""
        rule = self.rule()
        return apply_model(lambda x: rule.features(self.network, x), images)

    def weights(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the weight of every experience (B, T) for a batch; rows sum to 1."""
        features = self.embed(images)  # (B, D)
        found: Tensor = self.rule().to(features.device)(features)
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the gate's kind and the network's tensors; a subclass adds what it has learnt."""
        network = self._state if self._network is None else self._network.state_dict()
        return {"type": self.kind, "network": network}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state; the network's tensors are loaded now, or when the network is copied."""
        if self._network is not None and state["network"] is not None:
            self._network.load_state_dict(state["network"])
        else:
            self._state = state["network"]


class Rule(nn.Module):
    """How features become weights: what a gate has learnt, in tensors."""

    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the features (B, D) of images (B, C, H, W)."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """Return the weight of every experience (B, T) for features (B, D); rows sum to 1."""
        raise NotImplementedError


def first_images(images: Tensor | RaggedImages) -> Tensor:
    """Return up to two images (B, C, H, W) of any batch, or crops of one image."""
    if isinstance(images, RaggedImages):
        return first_images(images[0][None])
    return images[0] if images.dim() == 5 else images[:2]


def check_names(owner: str, levels: Sequence[str] | None) -> None:
    """Refuse levels that are no list of names.

    Raises:
        ConfigError: See above.
    """
    if levels is not None and (isinstance(levels, str) or not levels):
        raise ConfigError(
            f"{owner}: levels must be a list of the backbone's modules, e.g. ['layer1', 'layer2'], "
            f"or None, got {levels!r}."
        )
