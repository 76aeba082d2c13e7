"""Fidelity: how close the outputs of a smaller model are to those of the original."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from cliqa.utils.errors import DatasetError, ModelError
from cliqa.utils.progress import track


@dataclass(frozen=True)
class Fidelity:
    """The comparison of two models' outputs of the same images.

    Attributes:
        images: N.
        largest: Largest absolute difference of two outputs.
        error: Root of the mean squared difference, over the standard deviation of the first model's
            outputs; None where those are constant.
        distinct: Different scores of the second model, or different outputs.
        reference_distinct: Those of the first one.
        srcc: Rank correlation of scores, -1..1; None for logits, or where one side is constant.
        plcc: Linear correlation of scores; None as before.
        agreement: Share of images that both put into the same class, 0..1; None for scores.
    """

    images: int
    largest: float
    error: float | None
    distinct: int
    reference_distinct: int
    srcc: float | None = None
    plcc: float | None = None
    agreement: float | None = None

    @property
    def rank(self) -> float:
        """The main measure: SRCC of scores, agreement on classes; 0 if undefined."""
        return (self.srcc if self.agreement is None else self.agreement) or 0.0

    @property
    def distinct_share(self) -> float:
        """Different outputs, as a share of the first model's."""
        return self.distinct / self.reference_distinct

    def __str__(self) -> str:
        """Return the figures in one line."""
        figures = {"SRCC": self.srcc, "PLCC": self.plcc, "same class": self.agreement}
        shown = [f"{name} {value:.4f}" for name, value in figures.items() if value is not None]
        error = "" if self.error is None else f"RMSE {100 * self.error:.1f} % of std, "
        return (
            f"{', '.join(shown) or 'no correlation: constant'}; {error}largest difference "
            f"{self.largest:.3g}; {self.distinct} of {self.reference_distinct} different outputs"
        )


def compare_outputs(reference: Tensor, found: Tensor) -> Fidelity:
    """Return the fidelity of outputs to those of a reference.

    Args:
        reference: Scores (N,) or logits (N, K).
        found: The same images' outputs of the other model.

    Raises:
        DatasetError: There is no image.
        ModelError: The shapes differ, or a value is not finite.

    >>> print(compare_outputs(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 4.0])))
    SRCC 1.0000, PLCC 0.9820; RMSE 70.7 % of std, largest difference 1; 3 of 3 different outputs
    """
    if reference.shape != found.shape or reference.ndim not in (1, 2):
        raise ModelError(
            f"outputs of shape {tuple(reference.shape)} and {tuple(found.shape)} cannot be "
            "compared. Both models must give scores (N,) or logits (N, K) for the same images."
        )
    if not len(reference):
        raise DatasetError("no image to compare two models on. Give at least one batch.")
    a, b = reference.double().cpu(), found.double().cpu()
    if not bool(torch.isfinite(a).all() and torch.isfinite(b).all()):
        side = "second" if bool(torch.isfinite(a).all()) else "first"
        raise ModelError(f"the {side} model gives NaN or infinite outputs. Look at its images.")
    spread = float(a.std(unbiased=False))
    error = float((a - b).pow(2).mean().sqrt())
    of_scores = a.ndim == 1
    return Fidelity(
        images=len(a),
        largest=float((a - b).abs().max()),
        error=error / spread if spread else None,
        distinct=len(b.unique(dim=0)),
        reference_distinct=len(a.unique(dim=0)),
        srcc=_correlation(stats.spearmanr, a, b) if of_scores else None,
        plcc=_correlation(stats.pearsonr, a, b) if of_scores else None,
        agreement=None if of_scores else float((a.argmax(1) == b.argmax(1)).double().mean()),
    )


def compare_models(
    reference: Callable[[Tensor], Any], other: Callable[[Tensor], Any], batches: Iterable[Tensor]
) -> Fidelity:
    """Return the fidelity of a model to another on images.

    Args:
        reference: From a batch (B, C, H, W) to scores (B,) or logits (B, K); a PyTorch model is to
            be in evaluation mode.
        other: The model that is compared with it.
        batches: Preprocessed images, in memory all at once.

    Raises:
        DatasetError: There is no image.
        ModelError: The outputs cannot be compared.
    """
    kept = list(batches)
    return compare_outputs(outputs_of(reference, kept), outputs_of(other, kept))


def outputs_of(model: Callable[[Tensor], Any], batches: Iterable[Tensor]) -> Tensor:
    """Return a model's outputs of images, on the CPU: (N,) or (N, K).

    Raises:
        DatasetError: There is no image.
    """
    with torch.no_grad():
        found = [model(batch).detach().cpu() for batch in track(batches, "compare")]
    if not found:
        raise DatasetError("no image to compare two models on. Give at least one batch.")
    return torch.cat(found)


def _correlation(kind: Callable[..., Any], a: Tensor, b: Tensor) -> float | None:
    """Return a correlation of scipy's, None where a side is constant."""
    if len(a) < 2 or not np.ptp(a.numpy()) or not np.ptp(b.numpy()):
        return None
    return float(kind(a.numpy(), b.numpy()).statistic)
