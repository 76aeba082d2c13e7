"""Memory-aware synapses: a penalty on changes of weights that the output is sensitive to."""

from __future__ import annotations

import torch
from torch import Tensor

from cliqa.models.arguments import check_below_one
from cliqa.registry import PLUGINS
from cliqa.training.importance.per_sample import PerSampleGradients, Weights
from cliqa.training.importance.quadratic import (
    QuadraticPenalty,
    check_count,
    grown,
    trainable,
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

    Raises:
        ConfigError: A value is out of range.
    """

    scale = 1.0  # the paper's penalty has no 1/2

    def __init__(self, strength: float = 1.0, alpha: float = 0.5, n_samples: int = 2048) -> None:
        super().__init__(strength)
        check_below_one("MAS", alpha=alpha)
        check_count("MAS", n_samples)
        self.alpha = alpha
        self.n_samples = n_samples

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Estimate the importances, and use the current weights as the anchor."""
        found = self.measure(strategy)
        for name, weight in trainable(strategy.model).items():
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
