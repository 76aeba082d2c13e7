"""Linear and quadratic discriminant analysis from sums, with shrinkage chosen on held-out vectors.

Legend: T classes (experiences), N vectors, d their length. All in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.stats import chi2
from torch import Tensor

SHRINKAGES = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
"""Shares of the diagonal that are tried."""

BLENDS = (0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the pooled covariance in each class's own that are tried, for a quadratic one."""

TEMPERATURES = tuple(2.0 ** (k / 2) for k in range(-2, 13))  # 0.5 ... 64
"""Temperatures that are tried."""

FLOOR = 0.01
"""Added to variances, of vectors whose variance is about 1: no constant number decides alone."""

UNCHOSEN = (0.5, 64)
"""The shrinkage unless held-out vectors speak against it; and, without any, the temperature: 1 for
so many numbers of a vector, which tell the same thing many times over."""

BLOCK = 25
"""Images of a block, about."""

BLOCKS = (4, 80)
"""Fewest and most blocks of a data set."""

HELD_BLOCKS = 5
"""Most blocks that are held out."""

CLUSTERED = 2000
"""Images of a data set by which its blocks are found; the others follow."""


class ClassSums:
    """Counts, means and scatter matrices of classes: all that discriminant analysis needs.

    They do not grow with the number of vectors, and a class that is added changes no other.

    Args:
        own: Keep a scatter matrix for each class (T d d numbers), not their sum alone (d d).
    """

    def __init__(self, own: bool = False) -> None:
        self.own = own
        self.counts: list[int] = []
        self.means: list[Tensor] = []  # (d,)
        self.scatters: list[Tensor] = []  # (d, d), about the class means: one, or one per class

    def add(self, vectors: Tensor) -> None:
        """Add a class with its vectors (N, d), N > 0."""
        vectors = vectors.double()
        mean = vectors.mean(0)
        scatter = (vectors - mean).T @ (vectors - mean)
        self.counts.append(len(vectors))
        self.means.append(mean)
        if self.own or not self.scatters:
            self.scatters.append(scatter)
        else:
            self.scatters = [self.scatters[0] + scatter]

    def joined(self, more: Sequence[Tensor]) -> ClassSums:
        """Return the sums with more vectors (N, d) of every class, N >= 0."""
        total = ClassSums(self.own)
        total.scatters = [scatter.clone() for scatter in self.scatters]
        for index, vectors in enumerate(more):
            count, mean = self.counts[index], self.means[index]
            both = count + len(vectors)
            total.counts.append(both)
            total.means.append((count * mean + vectors.double().sum(0)) / both)
            if len(vectors):
                apart = vectors.double().mean(0) - mean
                centred = vectors.double() - vectors.double().mean(0)
                between = count * len(vectors) / both * torch.outer(apart, apart)
                total.scatters[index if self.own else 0] += centred.T @ centred + between
        return total

    def covariances(self, blend: float = 1.0) -> list[Tensor]:
        """Return the pooled covariance (d, d), or each class's own, blended with it.

        Args:
            blend: Share of the pooled covariance, 0..1, in a class's own.
        """
        free = max(1, sum(self.counts) - len(self.counts))
        pooled = torch.stack(self.scatters).sum(0) / free
        if not self.own:
            return [pooled]
        return [
            (1 - blend) * scatter / max(1, count - 1) + blend * pooled
            for scatter, count in zip(self.scatters, self.counts, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as tensors and plain types."""
        return {"counts": self.counts, "means": self.means, "scatters": self.scatters}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state."""
        self.counts = [int(count) for count in state["counts"]]
        self.means = [mean.cpu() for mean in state["means"]]
        self.scatters = [scatter.cpu() for scatter in state["scatters"]]


@dataclass
class Discriminant:
    """Gaussian classes: their means, and what turns a vector into independent unit variances.

    Attributes:
        means: (T, d).
        whiten: (1 or T, d, d): ``|whiten (x - mean)|^2`` is the squared Mahalanobis distance.
        volume: (1 or T,): log determinants of the covariances.
    """

    means: Tensor
    whiten: Tensor
    volume: Tensor

    def distances(self, vectors: Tensor) -> Tensor:
        """Return the squared Mahalanobis distances (N, T) of vectors (N, d)."""
        return squared_distances(vectors.double(), self.means, self.whiten)

    def logits(self, vectors: Tensor) -> Tensor:
        """Return the log-likelihoods (N, T) of vectors (N, d), up to a constant."""
        return -0.5 * (self.distances(vectors) + self.volume)


def squared_distances(vectors: Tensor, means: Tensor, whiten: Tensor) -> Tensor:
    """Return squared Mahalanobis distances (N, T); see `Discriminant`."""
    if len(whiten) == 1:
        apart = (vectors @ whiten[0].T)[:, None] - (means @ whiten[0].T)[None]  # (N, T, d)
    else:
        apart = torch.einsum("tij,ntj->nti", whiten, vectors[:, None] - means[None])
    return apart.square().sum(2)


def fit(sums: ClassSums, shrinkage: float, blend: float = 1.0) -> Discriminant:
    """Return the discriminant of sums.

    A covariance with standard deviations s and correlations R becomes
    ``s ((1 - shrinkage) R + shrinkage I) s``: correlations shrink, variances stay, so that the
    units of single numbers do not matter (Friedman, "Regularized discriminant analysis", 1989;
    Schäfer & Strimmer, 2005).

    Args:
        sums: Of T classes.
        shrinkage: Above 0, up to 1.
        blend: See `ClassSums.covariances`.
    """
    whiten, volume = [], []
    for covariance in sums.covariances(blend):
        scale = (covariance.diagonal() + FLOOR).sqrt()
        shrunk = (1 - shrinkage) * covariance / scale / scale[:, None]
        shrunk.diagonal().fill_(1.0)
        root = torch.linalg.cholesky(shrunk)
        unit = torch.eye(len(scale), dtype=torch.float64)
        whiten.append(torch.linalg.solve_triangular(root, unit, upper=False) / scale)
        volume.append(2 * (root.diagonal().log().sum() + scale.log().sum()))
    return Discriminant(torch.stack(sums.means), torch.stack(whiten), torch.stack(volume))


class Choice(NamedTuple):
    """What is chosen for a discriminant, without any test data.

    Attributes:
        shrinkage: See `fit`.
        blend: See `ClassSums.covariances`.
        temperature: What log-likelihoods are divided by, so that posteriors are calibrated.
        reach: The squared distance of each class that hardly any of its own images exceeds.
    """

    shrinkage: float
    blend: float
    temperature: float
    reach: list[float]


def choose(
    sums: ClassSums,
    held: Sequence[Tensor],
    unknown: float,
    shrinkage: float | None = None,
    temperature: float | None = None,
) -> Choice:
    """Choose shrinkage, temperature and reach on vectors that the sums do not hold.

    The log loss of a shrinkage is that at its own best temperature, averaged over classes. Of those
    within one standard error of the best (Breiman et al., "Classification and regression trees",
    1984) the one nearest to 0.5 is taken: a few blocks of images cannot tell them apart. A class's
    reach is the ``1 - unknown`` quantile of its held-out distances.

    Where a class has no held-out vector, nothing can be chosen: shrinkage and temperature follow
    `UNCHOSEN`, and the reach is chi-square's at that temperature.

    Args:
        sums: Of T classes.
        held: Vectors (N, d) of every class, N >= 0.
        unknown: Share of the held-out images that lie beyond the reach, 0..1.
        shrinkage: A value to take instead.
        temperature: A value to take instead.
    """
    if not all(len(vectors) for vectors in held):
        dims = len(sums.means[0])
        heat = max(1.0, dims / UNCHOSEN[1]) if temperature is None else temperature
        edge = heat * float(chi2.ppf(1 - (unknown or 1e-3), dims))
        return Choice(shrinkage or UNCHOSEN[0], 1.0, heat, [edge] * len(held))
    found: list[tuple[float, float, Choice]] = []
    for blend in BLENDS if sums.own else (1.0,):
        for share in SHRINKAGES if shrinkage is None else (shrinkage,):
            model = fit(sums, share, blend)
            logits = [model.logits(vectors) for vectors in held]
            tried = TEMPERATURES if temperature is None else (temperature,)
            loss, error, best = min(_log_loss(logits, t) for t in tried)
            reach = [
                float(model.distances(vectors)[:, index].quantile(1 - unknown))
                for index, vectors in enumerate(held)
            ]
            found.append((loss, error, Choice(share, blend, best, reach)))
    limit = sum(min(found, key=lambda item: item[0])[:2])
    near = [choice for loss, _, choice in found if loss <= limit]
    return min(near, key=lambda choice: (abs(choice.shrinkage - UNCHOSEN[0]), -choice.blend))


def _log_loss(logits: Sequence[Tensor], temperature: float) -> tuple[float, float, float]:
    """Return the log loss, averaged over classes, its standard error, and the temperature."""
    losses = [-(own / temperature).log_softmax(1)[:, t] for t, own in enumerate(logits)]
    means = torch.stack([loss.mean() for loss in losses])
    spread = torch.stack([loss.var(unbiased=False) / len(loss) for loss in losses])
    return float(means.mean()), float(spread.sum().sqrt() / len(losses)), temperature


def hold_out(vectors: Tensor, most: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return which vectors (N, d) are learnt from, and which are held out, as indices.

    Whole blocks of similar images are held out (k-means), up to five of some 25 images each, and of
    these at most `most`, drawn by the seed. Single images would have their nearest relatives, such
    as the same scene, in the other part, so that all would look easier than a test is.

    Args:
        vectors: (N, d), with variances about 1.
        most: Most vectors that are held out; 0 for none.
        seed: Of the blocks and the draws.

    >>> hold_out(torch.zeros(5, 2), most=100, seed=0)[1]
    tensor([], dtype=torch.int64)
    """
    count = min(len(vectors), CLUSTERED)
    different = len(torch.unique(vectors[:count], dim=0))
    blocks = min(max(BLOCKS[0], len(vectors) // BLOCK), BLOCKS[1])
    if not most or different < 2 * blocks:
        return torch.arange(len(vectors)), torch.arange(0)
    random = torch.Generator().manual_seed(seed)
    points = vectors.double()
    drawn = torch.randperm(len(points), generator=random)[:count]
    centres, _ = kmeans2(points[drawn].numpy(), blocks, minit="++", seed=seed % 2**32)
    centres = centres[np.isfinite(centres).all(1)]
    block = torch.cdist(points, torch.as_tensor(centres)).argmin(1)  # (N,)
    order = torch.randperm(len(centres), generator=random)
    chosen = order[: max(1, min(HELD_BLOCKS, len(centres) // 4))]
    out = torch.isin(block, chosen)
    if out.all():
        return torch.arange(len(vectors)), torch.arange(0)
    held = out.nonzero().flatten()
    kept = held[torch.randperm(len(held), generator=random)[:most].sort().values]
    return (~out).nonzero().flatten(), kept
