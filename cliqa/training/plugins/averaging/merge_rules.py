"""How the weights of several experiences become those of one model, one experience at a time.

Legend: T experiences, theta_t the weights after experience t, theta_0 those of the base.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from cliqa.training.importance.per_sample import Weights
from cliqa.training.importance.quadratic import grown
from cliqa.training.plugins.base import SavedState

FLOOR = 1e-6
"""The least importance of a weight (Matena & Raffel, 2022, section 3.3), of a mean of 1."""


class WeightedMean(SavedState):
    """``sum_t F_t theta_t / sum_t F_t``, elementwise, as a running mean.

    Rows that a growing head adds are averaged over the experiences that had them.

    Attributes:
        needs_importance: `add` must be given importances.
    """

    saved: ClassVar[tuple[str, ...]] = ("_merged", "_total")

    def __init__(self, needs_importance: bool = False) -> None:
        self.needs_importance = needs_importance
        self._merged: Weights = {}
        self._total: Weights = {}  # sum of F

    def add(self, weights: Weights, importance: Weights | None = None) -> Weights:
        """Add an experience, and return the mean so far.

        Args:
            weights: theta_t by name.
            importance: F_t >= 0 by name; a tensor without any counts as ones everywhere.
        """
        for name, weight in weights.items():
            new = torch.ones_like(weight)
            if importance is not None and name in importance:
                new = importance[name].clamp_min(FLOOR)
            total = grown(self._total.get(name), torch.zeros_like(new)) + new
            merged = grown(self._merged.get(name), weight)
            # as a difference: what never moved keeps its bits
            self._merged[name] = merged + new / total * (weight - merged)
            self._total[name] = total
        return dict(self._merged)


class Interpolation(SavedState):
    """``theta <- decay theta + (1 - decay) theta_t``: an exponential mean over experiences.

    Args:
        decay: Share of the earlier ones, 0..1, below 1; with 0 the newest weights stay as they are.
    """

    saved: ClassVar[tuple[str, ...]] = ("_merged",)
    needs_importance = False

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self._merged: Weights = {}

    def add(self, weights: Weights, _: Weights | None = None) -> Weights:
        """Add an experience, and return the mean so far."""
        for name, weight in weights.items():
            earlier = grown(self._merged.get(name), weight)
            self._merged[name] = weight + self.decay * (earlier - weight)
        return dict(self._merged)


class Ties(SavedState):
    """``theta_0 + scale * TIES(theta_t - theta_0)``.

    Yadav et al., "TIES-merging: resolving interference when merging models", NeurIPS 2023: of each
    task vector only the largest entries are kept; each weight takes the sign with the greater sum,
    and the mean of the kept entries of that sign. Sums and counts by sign are all that is stored,
    and give the same as all task vectors together.

    Args:
        keep: Share of the entries of a task vector that are kept, above 0 and up to 1.
        scale: Factor of the merged task vector, >= 0.
    """

    saved: ClassVar[tuple[str, ...]] = ("_base", "_sums", "_counts")
    needs_importance = False

    def __init__(self, keep: float, scale: float) -> None:
        self.keep, self.scale = keep, scale
        self._base: Weights = {}
        self._sums: dict[str, list[Tensor]] = {}  # of positive and of negative entries
        self._counts: dict[str, list[Tensor]] = {}

    def begin(self, base: Weights) -> None:
        """Set theta_0."""
        self._base = {name: weight.clone() for name, weight in base.items()}

    def add(self, weights: Weights, _: Weights | None = None) -> Weights:
        """Add an experience, and return the merged weights so far."""
        self._base = {n: grown(self._base.get(n), weight) for n, weight in weights.items()}
        vectors = {name: weight - self._base[name] for name, weight in weights.items()}
        for name, vector in self._trimmed(vectors).items():
            sides = vector.clamp_min(0), vector.clamp_max(0)
            nothing = [torch.zeros_like(vector)] * 2
            for old, new in ((self._sums, sides), (self._counts, [s.sign().abs() for s in sides])):
                earlier = old.get(name, nothing)
                old[name] = [grown(e, nothing[0]) + n for e, n in zip(earlier, new, strict=True)]
        return {name: self._base[name] + self.scale * self._elected(name) for name in weights}

    def _trimmed(self, vectors: Weights) -> Weights:
        """Return a task vector with its smaller entries set to 0."""
        sizes = torch.cat([vector.abs().flatten() for vector in vectors.values()])
        count = max(1, round(self.keep * len(sizes)))
        least = sizes.sort(descending=True).values[count - 1]
        return {n: torch.where(v.abs() >= least, v, 0.0) for n, v in vectors.items()}

    def _elected(self, name: str) -> Tensor:
        """Return the mean of the kept entries whose sign has the greater sum."""
        (above, below), (some, others) = self._sums[name], self._counts[name]
        up = above + below >= 0
        return torch.where(up, above, below) / torch.where(up, some, others).clamp_min(1)


Rule = WeightedMean | Interpolation | Ties
"""What merges."""
