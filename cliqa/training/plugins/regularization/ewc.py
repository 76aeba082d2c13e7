"""Elastic weight consolidation: a penalty on changes of important weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from cliqa.models.arguments import check_choice, check_positive, check_share
from cliqa.registry import PLUGINS
from cliqa.training.importance.fisher import KINDS, experience_fisher
from cliqa.training.importance.per_sample import Weights
from cliqa.training.importance.quadratic import (
    QuadraticPenalty,
    check_count,
    grown,
    without,
)
from cliqa.training.strategy import Strategy

MODES = ("separate", "online", "single")


@PLUGINS.register_module()
class EWC(QuadraticPenalty):
    """Add ``strength / 2 * sum_k F_k (theta_k - theta*_k)^2`` to the loss.

    Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017, eq. 3.
    F is the diagonal of the Fisher information: the mean over samples of the squared gradient of
    one sample's log-likelihood, in evaluation mode and with evaluation transforms, for any batch
    size. The likelihood of classes is the softmax; that of scores is a normal distribution of
    standard deviation `sigma` around the output, for any training loss.

    With one head for all classes it helps little: it does not protect the head's old classes.

    Args:
        strength: Factor of the penalty, >= 0.
        mode: ``"separate"``: the sum of a penalty for each earlier experience, around its weights;
            ``"online"``: one around the newest weights, with gamma F in place of F, and
            F <- gamma F + F of the new experience (Schwarz et al., "Progress & compress", ICML
            2018, eq. 9); ``"single"``: one around the newest weights, F the mean over the
            experiences.
        gamma: Decay of the ``"online"`` mode, 0..1; 0 disables the penalty.
        fisher: Which labels the gradients are at: ``"empirical"``, ``"sampled"`` or ``"exact"``, as
            in `fisher_diagonal`; None for ``"exact"`` over scores, ``"empirical"`` over classes.
        n_samples: Training samples to estimate F on; 0 for all.
        normalize: Divide each experience's F by its ``"max"`` or ``"mean"``, or in every parameter
            tensor by its own mean (``"layer"``), so that a strength suits different networks;
            False: do not.
        sigma: Standard deviation of scores in 0..1 around the output, > 0.
        importance_power: Exponent of each experience's F, above 0; 0.5 for the root. The
            measured ones are very uneven, so that most weights are free; see `Shaping`.
        importance_clip: Share of the weights, above 0 and up to 1; the importances of the others
            are set to the largest of theirs. 1 for no limit.
        layers: Factors of the strength by part of the model, e.g. ``{"head": 0}``; the first name
            that matches counts, ``*`` is any text. None for 1 everywhere.

    Raises:
        ConfigError: A value is out of range or unknown.
    """

    reads_classes = True
    reads_outputs = True
    saved = (*QuadraticPenalty.saved, "_rest", "_learnt")
    distributed = "every process measures its share of the samples, and the sums are added up"

    def __init__(
        self,
        strength: float = 1000.0,
        mode: str = "separate",
        gamma: float = 1.0,
        fisher: str | None = None,
        n_samples: int = 2048,
        normalize: str | bool = False,
        sigma: float = 0.1,
        importance_power: float = 1.0,
        importance_clip: float = 1.0,
        layers: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(strength, importance_power, importance_clip, normalize, layers)
        check_choice("EWC", MODES, mode=mode)
        check_share("EWC", gamma=gamma)
        check_choice("EWC", (None, *KINDS), fisher=fisher)
        check_positive("EWC", sigma=sigma)
        check_count("EWC", n_samples)
        self.mode = mode
        self.gamma = gamma
        if mode == "online":
            self.scale = 0.5 * gamma  # eq. 9: F has decayed when the next experience begins
        self.fisher = fisher
        self.n_samples = n_samples
        self.sigma = sigma
        self._learnt = 0
        # the constant between the sum of penalties and one around their mean anchor, by parameter
        self._rest: Weights = {}

    def forget(self, names: Collection[str]) -> None:
        """Forget the state of parameters that are reinitialised."""
        super().forget(names)
        self._rest = without(self._rest, names)

    def penalty(self, model: nn.Module) -> Tensor:
        """Return the penalty of the trainable weights, a scalar."""
        rest = [
            self._rest[n]
            for n, p in model.named_parameters()
            if p.requires_grad and n in self._rest
        ]
        constant = self.scale * self.strength * torch.stack(rest).sum() if rest else 0.0
        return super().penalty(model) + constant

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Estimate F, and merge it and the current weights with those of earlier experiences."""
        measured = self.shaped(strategy, self.measure(strategy))
        for name, weight in self.held(strategy).items():
            self._merge(name, measured[name], weight)
        self._learnt += 1

    # ---------------------------------------------------------------- over experiences

    def _merge(self, name: str, new: Tensor, weight: Tensor) -> None:
        """Merge a parameter's new F and weights with the earlier ones."""
        old = grown(self._importance.get(name), torch.zeros_like(new))
        if self.mode == "separate":
            self._add(name, old, new, weight)
            return
        if self.mode == "online":
            self._importance[name] = self.gamma * old + new
        else:
            self._importance[name] = (self._learnt * old + new) / (self._learnt + 1)
        self._anchor[name] = weight

    def _add(self, name: str, old: Tensor, new: Tensor, weight: Tensor) -> None:
        """Add a penalty to the sum.

        Two parabolas add up to one around the mean of their minima, weighted by F, and a constant:
        the sum takes no more memory or time than a single one.
        """
        total = old + new
        share = torch.where(total > 0, new / total, torch.ones_like(total))
        gap = weight - grown(self._anchor.get(name), weight)
        rest = self._rest.get(name, gap.new_zeros(()))
        self._rest[name] = rest + (old * share * gap.square()).sum()
        self._anchor[name] = weight - (1 - share) * gap
        self._importance[name] = total

    # ---------------------------------------------------------------- one experience

    def measure(self, strategy: Strategy) -> Weights:
        """Return F on the experience's data alone."""
        return experience_fisher(strategy, self.fisher, self.sigma, self.n_samples)
