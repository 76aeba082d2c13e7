"""Losses of predicted distributions of scores against what the raters of each image said.

Legend: B images, K quality levels, evenly spaced from 0 to 1.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.losses.scores import paired_scores
from cliqa.registry import LOSSES
from cliqa.utils.errors import ConfigError

LEAST_LOG_VARIANCE = math.log(1e-4)
"""Of a score in 0..1: a standard deviation of 0.01. A smaller one lets one image rule a batch."""


@dataclass(frozen=True)
class Wanted:
    """What a loss reads of an image's raters besides the score.

    Attributes:
        levels: K, the quality levels whose shares it reads; 0 for the standard deviation alone.
        default_std: The standard deviation, in 0..1, of images whose labels have none; None refuses
            such a data set.
    """

    levels: int = 0
    default_std: float | None = None


def wanted_by(loss: object) -> Wanted | None:
    """Return what a loss reads of raters; None for a loss of scores alone."""
    found: Wanted | None = getattr(loss, "ratings", None)
    return found


def check_std(default_std: float | None) -> None:
    """Refuse an impossible standard deviation.

    Raises:
        ValueError: It is not positive.
    """
    if default_std is not None and not default_std > 0:
        raise ValueError(f"default_std must be positive or None, got {default_std}")


def missing_ratings(loss: nn.Module) -> ConfigError:
    """Return the error for a training batch without what a loss reads of raters."""
    return ConfigError(
        f"{type(loss).__name__}: the batch has no ratings. A config's QualityStream adds them to "
        "each sample as a third entry; in a script use a strategy of cliqa.training, and add the "
        "rows of cliqa.datasets.labels.ratings.rating_rows to the samples."
    )


class DistributionLoss(nn.Module):
    """A loss of a head that predicts a distribution: see `LevelScoreHead`, `GaussianScoreHead`.

    An evaluation, whose model gives scores (B,), has their mean absolute error.

    Attributes:
        ratings: What it reads of the raters; None for the scores alone.
        head: The head that it needs, for messages.
    """

    ratings: Wanted | None = None
    head: str = ""

    def forward(self, prediction: Tensor, target: Tensor, ratings: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar.

        Args:
            prediction: The head's output (B, ...), or scores (B,) in an evaluation.
            target: Scores (B,), 0..1.
            ratings: (B, 1 + K), the raters' standard deviation and the shares of the levels.

        Raises:
            ConfigError: The head gives something else, or the batch has no ratings.
        """
        if prediction.ndim == 1 and not prediction.requires_grad:
            return F.l1_loss(*paired_scores(prediction, target))
        self.check(prediction)
        if ratings is None and self.ratings is not None:
            raise missing_ratings(self)
        return self.distance(prediction.float(), target.float(), ratings)

    @abstractmethod
    def distance(self, prediction: Tensor, target: Tensor, ratings: Tensor | None) -> Tensor:
        """Return the loss of a checked batch, float32."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The numbers that the head gives for an image."""

    def check(self, prediction: Tensor) -> None:
        """Refuse another head's output.

        Raises:
            ConfigError: It has another shape.
        """
        if prediction.ndim != 2 or prediction.shape[1] != self.width:
            raise ConfigError(
                f"{type(self).__name__}: the model gives shape {tuple(prediction.shape)}, and the "
                f"loss reads {self.width} numbers an image. Set model.head={self.head}."
            )


class LevelLoss(DistributionLoss):
    """A loss of the logits of K quality levels against the shares that raters gave them.

    Args:
        levels: K, at least 2, as in the model's head.
        default_std: The raters' standard deviation, in 0..1, where the labels have none; None
            refuses such a data set.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, levels: int, default_std: float | None = None) -> None:
        super().__init__()
        if not isinstance(levels, int) or levels < 2:
            raise ValueError(f"levels must be an integer of at least 2, got {levels!r}")
        check_std(default_std)
        self.ratings = Wanted(levels, default_std)
        self.levels = levels
        self.head = f"dict(type='LevelScoreHead', levels={levels}, in_channels=...)"

    @property
    def width(self) -> int:
        """The levels."""
        return self.levels


@LOSSES.register_module()
class EMDLoss(LevelLoss):
    """The distance of two distributions over levels: ``(mean_k |P_k - Q_k|^r)^(1/r)``.

    P and Q are the cumulative shares, predicted and of the raters (Talebi & Milanfar, "NIMA: Neural
    image assessment", TIP 2018, eq. 1; r = 2 in training). Averaged over the images.

    Args:
        levels: K, at least 2; 10 for AVA's ratings as they are.
        r: The exponent, >= 1.
        default_std: As `LevelLoss`.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, levels: int = 10, r: float = 2.0, default_std: float | None = None) -> None:
        super().__init__(levels, default_std)
        if not r >= 1:
            raise ValueError(f"r must be at least 1, got {r}")
        self.r = r

    def distance(self, prediction: Tensor, target: Tensor, ratings: Tensor | None) -> Tensor:
        """Return the mean distance of the cumulative shares."""
        del target
        shares: Tensor = ratings[:, 1:]  # type: ignore[index]  # (B, K)
        gap = (prediction.softmax(1).cumsum(1) - shares.cumsum(1)).abs()
        # a power of 0 would have no gradient where both agree
        return (gap.pow(self.r).mean(1) + 1e-12).pow(1 / self.r).mean()


@LOSSES.register_module()
class SoftLevelLoss(LevelLoss):
    """The divergence ``KL(shares || softmax(logits))`` over quality levels, averaged over images.

    Its gradient is that of the cross entropy with soft labels. Five levels are those of Wu et al.
    ("Q-Align", ICML 2024), soft labels instead of the nearest level those of You et al. ("Teaching
    large language models to regress accurate image quality scores using score distribution", CVPR
    2025).

    Args:
        levels: K, at least 2.
        default_std: As `LevelLoss`.

    Raises:
        ValueError: A number is out of range.
    """

    def __init__(self, levels: int = 5, default_std: float | None = None) -> None:
        super().__init__(levels, default_std)

    def distance(self, prediction: Tensor, target: Tensor, ratings: Tensor | None) -> Tensor:
        """Return the mean divergence."""
        del target
        shares: Tensor = ratings[:, 1:]  # type: ignore[index]  # (B, K)
        return F.kl_div(prediction.log_softmax(1), shares, reduction="batchmean")


@LOSSES.register_module()
class GaussianScoreLoss(DistributionLoss):
    """The negative log-likelihood of scores under N(m, v), without its constant.

    ``(log v + (y - m)^2 / v) / 2``, averaged over the images (Kendall & Gal, "What uncertainties do
    we need in Bayesian deep learning for computer vision?", NeurIPS 2017, eq. 5). With `raters` it
    is the mean over the raters, ``(log v + (s^2 + (y - m)^2) / v) / 2``, s their standard
    deviation: v then covers their disagreement too.

    Args:
        raters: Read each image's standard deviation.
        default_std: As `LevelLoss`; with `raters`.

    Raises:
        ValueError: `default_std` is not positive.
    """

    head = "dict(type='GaussianScoreHead', in_channels=...)"

    def __init__(self, raters: bool = False, default_std: float | None = None) -> None:
        super().__init__()
        check_std(default_std)
        self.ratings = Wanted(0, default_std) if raters else None

    @property
    def width(self) -> int:
        """Mean and log variance."""
        return 2

    def distance(self, prediction: Tensor, target: Tensor, ratings: Tensor | None) -> Tensor:
        """Return the mean negative log-likelihood."""
        mean, log_variance = prediction.unbind(1)
        log_variance = log_variance.clamp_min(LEAST_LOG_VARIANCE)
        squares = (target - mean).square()
        if self.ratings is not None and ratings is not None:
            squares = squares + ratings[:, 0].square()
        return 0.5 * (log_variance + squares * (-log_variance).exp()).mean()
