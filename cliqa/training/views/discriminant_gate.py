"""A gate by discriminant analysis of the statistics of a network's levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_integer, check_positive, check_share
from cliqa.models.backbones.levels import Levels, find_levels, level_statistics
from cliqa.models.necks.map_statistics import check_statistics
from cliqa.training.loop.batching import RaggedImages, apply_model
from cliqa.training.strategy import Strategy
from cliqa.training.views.base import Gate, Rule, check_names, first_images
from cliqa.training.views.discriminant import (
    Choice,
    ClassSums,
    choose,
    fit,
    hold_out,
    squared_distances,
)
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import derive_seed, generator

BEND = 5.0
"""From about here on standardised statistics grow by their logarithm: one dead or exploding channel
must not decide, and data sets far from the first one still differ."""

LEAST_SCALE = 1e-4
"""Of a statistic that hardly differs in the first data set."""

MEASURED = 2000
"""Images of the first data set whose statistics are standardised to."""


class DiscriminantGate(Gate):
    """Weights by the posterior of each experience, given statistics of the network's levels.

    Distortions and cameras change the mean and the spread of early channels most, which the pooled
    last layer hardly shows. Each experience is a Gaussian over the statistics of the stem and the
    end of every stage (`find_levels`), in a network before its training: linear discriminant
    analysis has one covariance for all of them, a quadratic one blends each experience's own with
    it. Experiences count alike, however many images they have.

    Kept are counts, means and scatter matrices, and the statistics (not the images) of up to `held`
    held-out images per experience, on which shrinkage, temperature and reach are chosen again with
    every experience (`choose`). No test image takes part. With ``held=0`` sums alone are kept.

    An image beyond the reach of every experience is unknown: from there its weights fade to equal
    ones, at twice the reach (in squared distance) they are equal.

    Args:
        own: Each experience has a covariance of its own (``"qda"``).
        statistics: Of every level, as `map_statistics`; ``"high_pass"`` may help against noise.
        levels: Modules of the backbone; None for the stem and every stage.
        shrinkage: Share of the diagonal in the covariance, above 0, up to 1; None to choose it.
        temperature: What log-likelihoods are divided by, > 0; None to choose it.
        hard: The likeliest experience alone has weight, in place of the posteriors.
        unknown: Share of an experience's held-out images that lie beyond its reach, 0..1, below 1;
            0 for the farthest. None: no image is unknown.
        held: Most held-out images per experience whose statistics are kept, >= 0.
        dims: Most numbers of an image; more are projected to so many at random.

    Raises:
        ConfigError: A value is out of range, or a statistic is unknown.
    """

    def __init__(
        self,
        own: bool = False,
        statistics: Sequence[str] = ("mean", "log_std"),
        levels: Sequence[str] | None = None,
        shrinkage: float | None = None,
        temperature: float | None = None,
        hard: bool = False,
        unknown: float | None = 0.01,
        held: int = 100,
        dims: int = 512,
    ) -> None:
        super().__init__()
        check_statistics("gate", statistics)
        check_names("gate", levels)
        check_integer("gate", 0, held=held)
        check_integer("gate", 1, dims=dims)
        if shrinkage is not None:
            check_share("gate", shrinkage=shrinkage)
            check_positive("gate", shrinkage=shrinkage)
        if temperature is not None:
            check_positive("gate", temperature=temperature)
        if unknown is not None and not 0 <= unknown < 1:
            raise ConfigError(f"gate: unknown must lie in 0..1, below 1, got {unknown!r}.")
        self.own, self.statistics = own, tuple(statistics)
        self.levels = None if levels is None else list(levels)
        self.shrinkage, self.temperature, self.hard = shrinkage, temperature, hard
        self.unknown, self.held, self.dims = unknown, held, dims
        self._found: Levels | None = None
        self._centre = self._scale = torch.empty(0)  # (D,)
        self._projection = torch.empty(0)  # (D, d); empty where D is small
        self._seed = 0
        self._sums = ClassSums(own)
        self._held: list[Tensor] = []  # one per experience: (N, d), float32
        self.choice: Choice | None = None
        self._rule: GaussianRule | None = None

    @property
    def kind(self) -> str:  # type: ignore[override]
        """``"lda"``, or ``"qda"``."""
        return "qda" if self.own else "lda"

    # ---------------------------------------------------------------- learning

    def add(self, strategy: Strategy, experience: int) -> None:
        """Learn an experience's training data, and choose shrinkage, temperature and reach anew."""
        seed = derive_seed(strategy.options.seed, "gate", experience)
        if not self._held:
            self._begin(strategy, seed)
        vectors = strategy.rows_of(self._vectors)
        learnt, held = hold_out(vectors, self.held, seed)
        self._sums.add(vectors[learnt])
        self._held.append(vectors[held])
        quantile = self.unknown or 0.0
        arguments = (self._held, quantile, self.shrinkage, self.temperature)
        self.choice = choose(self._sums, *arguments)
        self._rule = None

    @torch.no_grad()
    def _begin(self, strategy: Strategy, seed: int) -> None:
        """Find the levels, and the scale of their statistics, in the first data set."""

        def first_look(inputs: Tensor | RaggedImages) -> Tensor:
            if self._found is None:
                self._found = find_levels(self.network, first_images(inputs), self.levels)
            return self._raw(inputs)

        statistics = strategy.rows_of(first_look, MEASURED).double()  # (N, D)
        self._centre = statistics.mean(0).float()
        self._scale = statistics.std(0, unbiased=False).clamp(min=LEAST_SCALE).float()
        self._seed = seed
        self._project()

    def _project(self) -> None:
        """Draw the random projection, which the seed gives again."""
        if len(self._centre) > self.dims:
            random = generator(self._seed, "projection")
            shape = (len(self._centre), self.dims)
            self._projection = torch.randn(shape, generator=random) / len(self._centre) ** 0.5

    def _raw(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the statistics (B, D) of a batch, averaged over crops."""
        levels = self._found or {}
        return apply_model(
            lambda x: level_statistics(self.network, x, levels, self.statistics), images
        )

    @torch.no_grad()
    def _vectors(self, images: Tensor | RaggedImages) -> Tensor:
        """Return the standardised statistics (B, d) of a batch."""
        raw = self._raw(images)
        parts = (self._centre, self._scale, self._projection)
        return standardised(raw, *(part.to(raw.device) for part in parts))

    # ---------------------------------------------------------------- weighing

    def rule(self) -> GaussianRule:
        """Return the Gaussians of all experiences, held-out images included, as a module."""
        if self._rule is None:
            self._rule = self._made()
        return self._rule

    def _made(self) -> GaussianRule:
        choice = self.choice
        if choice is None:
            raise ConfigError("gate: it has learnt no experience yet.")
        total = self._sums.joined(self._held)
        found = fit(total, choice.shrinkage, choice.blend)
        rule = GaussianRule(self._found or {}, self.statistics, choice.temperature, self.hard)
        rule.reaches = self.unknown is not None
        buffers = {
            "centre": self._centre,
            "scale": self._scale,
            "projection": self._projection,
            "means": found.means - found.means.mean(0),
            "middle": found.means.mean(0),
            "whiten": found.whiten,
            "volume": found.volume - found.volume.mean(),
            "reach": torch.tensor(choice.reach, dtype=torch.float64),
        }
        for name, value in buffers.items():
            rule.register_buffer(name, value.float().clone())
        return rule

    # ---------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Return the sums, the held-out statistics, what was chosen, and the network's tensors."""
        own = {
            "levels": self._found,
            "centre": self._centre,
            "scale": self._scale,
            "seed": self._seed,
            "sums": self._sums.state_dict(),
            "held": self._held,
            "choice": None if self.choice is None else self.choice._asdict(),
        }
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a state."""
        self._found, self._seed = state["levels"], state["seed"]
        self._centre, self._scale = state["centre"].cpu(), state["scale"].cpu()
        self._project()
        self._sums.load_state_dict(state["sums"])
        self._held = [vectors.cpu() for vectors in state["held"]]
        self.choice = None if state["choice"] is None else Choice(**state["choice"])
        self._rule = None
        super().load_state_dict(state)


class GaussianRule(Rule):
    """Posteriors of Gaussians; see `DiscriminantGate`.

    Args:
        levels: What `find_levels` found.
        statistics: Of every level.
        temperature: What log-likelihoods are divided by.
        hard: The likeliest one alone has weight.
    """

    centre: Tensor
    scale: Tensor
    projection: Tensor
    means: Tensor
    middle: Tensor
    whiten: Tensor
    volume: Tensor
    reach: Tensor

    def __init__(
        self, levels: Levels, statistics: Sequence[str], temperature: float, hard: bool
    ) -> None:
        super().__init__()
        self.levels, self.statistics = levels, tuple(statistics)
        self.temperature, self.hard, self.reaches = temperature, hard, True

    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the statistics (B, D) of the levels."""
        return level_statistics(network, images, self.levels, self.statistics)

    def forward(self, features: Tensor) -> Tensor:
        """Return the weight of every experience (B, T)."""
        vectors = standardised(features, self.centre, self.scale, self.projection) - self.middle
        distances = squared_distances(vectors, self.means, self.whiten)  # (B, T)
        logits = -0.5 * (distances + self.volume) / self.temperature
        if self.hard:
            first = (logits >= logits.amax(1, keepdim=True)).to(logits.dtype)
            weights = first / first.sum(1, keepdim=True)
        else:
            weights = logits.softmax(1)
        if not self.reaches:
            return weights
        beyond = (distances / self.reach).amin(1, keepdim=True)  # 1 at the nearest one's reach
        return torch.lerp(weights, torch.full_like(weights, 1 / weights.shape[1]), fade(beyond))


def fade(beyond: Tensor) -> Tensor:
    """Return the share of equal weights: 0 up to the reach, 1 from twice the reach on."""
    return (beyond - 1).clamp(0, 1)


def standardised(raw: Tensor, centre: Tensor, scale: Tensor, projection: Tensor) -> Tensor:
    """Return statistics (B, D) as vectors (B, d) of about unit variance, with bent extremes.

    Args:
        raw: Statistics.
        centre: (D,).
        scale: (D,).
        projection: (D, d), or empty for none.
    """
    vectors = BEND * ((raw - centre) / (BEND * scale)).asinh()
    return vectors @ projection if projection.numel() else vectors
