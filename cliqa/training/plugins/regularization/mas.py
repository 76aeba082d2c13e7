"""Memory-aware synapses: a penalty on changes of weights that the output is sensitive to."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cliqa.models.arguments import check_below_one
from cliqa.registry import PLUGINS
from cliqa.training.importance.per_sample import PerSampleGradients, Weights
from cliqa.training.importance.quadratic import (
    QuadraticPenalty,
    check_count,
    grown,
)
from cliqa.training.loop.tasks import one_head
from cliqa.training.strategy import Strategy


@PLUGINS.register_module()
class MAS(QuadraticPenalty):
    """Add ``strength * sum_k Omega_k (theta_k - theta*_k)^2`` to the loss.

    Aljundi et al., "Memory aware synapses: learning what (not) to forget", ECCV 2018, eq. 3 and 4:
    Omega_k is the mean over samples of ``|d ||f(x)||^2 / d theta_k|``, one sample at a time, in
    evaluation mode and with evaluation transforms. It needs no label. Over experiences it is a
    running mean.

    Args:
        strength: Factor of the penalty, >= 0.
        alpha: Weight of the earlier experiences in the running mean, 0..1, below 1.
        n_samples: Training samples to estimate the importances on; 0 for all.
        importance_power: Exponent of each experience's importances, above 0; 0.5 for the root. The
            measured ones are very uneven, so that most weights are free; see `Shaping`.
        importance_clip: Share of the weights, above 0 and up to 1; the importances of the others
            are set to the largest of theirs. 1 for no limit.
        normalize: Divide each experience's importances by their ``"max"`` or ``"mean"``, or in
            every parameter tensor by its own mean (``"layer"``), so that a strength suits different
            networks; False: do not.
        layers: Factors of the strength by part of the model, e.g. ``{"head": 0}``; the first name
            that matches counts, ``*`` is any text. None for 1 everywhere.

    Raises:
        ConfigError: A value is out of range.
    """

    reads_outputs = True
    distributed = "every process measures its share of the samples, and the sums are added up"
    scale = 1.0  # the paper's penalty has no 1/2

    def __init__(
        self,
        strength: float = 1.0,
        alpha: float = 0.5,
        n_samples: int = 2048,
        importance_power: float = 1.0,
        importance_clip: float = 1.0,
        normalize: str | bool = False,
        layers: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(strength, importance_power, importance_clip, normalize, layers)
        check_below_one("MAS", alpha=alpha)
        check_count("MAS", n_samples)
        self.alpha = alpha
        self.n_samples = n_samples

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Estimate the importances, and use the current weights as the anchor."""
        found = self.shaped(strategy, self.measure(strategy))
        for name, weight in self.held(strategy).items():
            new = found[name]
            if name in self._importance:
                old = grown(self._importance[name], torch.zeros_like(new))
                new = self.alpha * old + (1 - self.alpha) * new
            self._importance[name] = new
            self._anchor[name] = weight

    def measure(self, strategy: Strategy) -> Weights:
        """Return the importances on the experience's data alone."""
        gradients = PerSampleGradients(strategy.model, power=1)
        count = 0
        with one_head(strategy):
            for inputs, targets in strategy.training_samples(self.n_samples):
                gradients.add(squared_norm, inputs, targets)
                count += len(targets)
        return gradients.means(count)


def squared_norm(output: Tensor, _: Tensor) -> Tensor:
    """Return ``||f(x)||^2`` of an output () or (K,), a scalar."""
    return output.square().sum()
