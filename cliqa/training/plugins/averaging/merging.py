"""Merging the weights of all experiences into one model."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from cliqa.models.arguments import (
    check_below_one,
    check_choice,
    check_integer,
    check_least,
    check_positive,
    check_share,
)
from cliqa.registry import PLUGINS
from cliqa.training.importance.fisher import experience_fisher
from cliqa.training.importance.shaping import Shaping
from cliqa.training.loop.batching import model_output
from cliqa.training.loop.tasks import one_head
from cliqa.training.plugins.averaging.merge_rules import Interpolation, Rule, Ties, WeightedMean
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.strategy import Strategy
from cliqa.training.views.views import TaskViews, Tensors, copied_tensors, tensors_of
from cliqa.utils.errors import ConfigError

METHODS = ("uniform", "ema", "fisher", "ties")


@PLUGINS.register_module()
class ModelMerging(ContinualPlugin):
    """After each experience, replace the model by a merge of the weights after all of them.

    * ``"uniform"``: their mean (Utans, 1996; Wortsman et al., "Model soups", ICML 2022).
    * ``"ema"``: ``decay`` of the merge so far and the rest of the newest weights (Wortsman et al.,
      "Robust fine-tuning of zero-shot models", CVPR 2022, for two models); 0 is fine-tuning.
    * ``"fisher"``: their mean, weighted by each experience's diagonal Fisher information (Matena &
      Raffel, "Merging models with Fisher-weighted averaging", NeurIPS 2022, eq. 4), which is
      divided by its own mean: every experience has the same say.
    * ``"ties"``: see `Ties` (Yadav et al., 2023), relative to a base.

    What is stored is as large for ten experiences as for two: running sums. An experience trains as
    plain fine-tuning; evaluations, checkpoints and plugins that come later in the list see the
    merge. Put a method that measures the model, such as EWC, behind this one.

    Weights far apart do not average well. From scratch, let an experience start from the merge so
    far (``start="merged"``); the published setting, in which each starts from the same pretrained
    weights, is ``start="base"``. Rows that a head of classes gains are merged over the experiences
    that had them. Counters of normalisation layers are not merged: the newest ones stay.

    Args:
        method: One of the above.
        start: What an experience starts from: ``"merged"`` or ``"base"``.
        base: ``"init"``: the weights before the first experience, such as pretrained ones;
            ``"first"``: those after it.
        norm: Running statistics of batch normalisation: ``"average"``, each experience's alike;
            or ``"recompute"``, from the newest experience's training samples under the merged
            weights.
        decay: Of ``"ema"``, 0..1, below 1.
        keep: Of ``"ties"``: share of a task vector's entries that are kept, above 0 and up to 1.
        scale: Of ``"ties"``: factor of the merged task vector, >= 0.
        n_samples: Of ``"fisher"`` and ``"recompute"``: training samples to measure; 0 for all.

    Raises:
        ConfigError: A value is out of range or unknown.
    """

    saved = ("_base", "_learnt")
    distributed = "every process merges the same weights; importances are added up"
    saved_parts = ("rule", "statistics")
    reads_classes = True

    def __init__(
        self,
        method: str = "uniform",
        start: str = "merged",
        base: str = "init",
        norm: str = "average",
        decay: float = 0.5,
        keep: float = 0.2,
        scale: float = 1.0,
        n_samples: int = 2048,
    ) -> None:
        super().__init__()
        check_choice("ModelMerging", METHODS, method=method)
        check_choice("ModelMerging", ("merged", "base"), start=start)
        check_choice("ModelMerging", ("init", "first"), base=base)
        check_choice("ModelMerging", ("average", "recompute"), norm=norm)
        check_below_one("ModelMerging", decay=decay)
        check_share("ModelMerging", keep=keep)
        check_positive("ModelMerging", keep=keep)
        check_least("ModelMerging", 0, scale=scale)
        check_integer("ModelMerging", 0, n_samples=n_samples)
        self.method, self.start, self.base, self.norm = method, start, base, norm
        self.n_samples = n_samples
        self.rule: Rule = WeightedMean(needs_importance=method == "fisher")
        self.statistics: Rule = WeightedMean()
        if method == "ema":
            self.rule, self.statistics = Interpolation(decay), Interpolation(decay)
        elif method == "ties":
            self.rule = Ties(keep, scale)
        self._base: Tensors = {}  # where experiences start from
        self._learnt = 0

    def check(self, plugins: Sequence[object]) -> None:
        """Refuse methods whose weights must stay as each experience leaves them."""
        for plugin in plugins:
            if isinstance(plugin, TaskViews):
                name = type(plugin).__name__
                raise ConfigError(
                    f"ModelMerging: {name} keeps weights of each experience apart, and a merge "
                    f"would change them. Drop the plugin 'ModelMerging', or '{name}'."
                )

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Store the base, or let the experience start from it."""
        if strategy.resumes_mid_step:
            return
        if self._learnt == 0 and self.base == "init":
            self._begin(strategy.model)
        elif self._learnt and self.start == "base":
            _restore(strategy.model, self._base)

    @torch.no_grad()
    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Merge the experience's weights with those of the earlier ones, and load the merge."""
        model = strategy.model
        if self._learnt == 0 and self.base == "first":
            self._begin(model)
        importance = None
        if isinstance(self.rule, WeightedMean) and self.rule.needs_importance:
            with torch.enable_grad():
                found = experience_fisher(strategy, n_samples=self.n_samples)
            importance = Shaping("ModelMerging", normalize="mean")(found)
        names = [name for name, _ in model.named_parameters()]
        merged = self.rule.add(copied_tensors(model, names), importance)
        own = copied_tensors(model, statistics_of(model))
        merged |= self.statistics.add(own)
        self._learnt += 1
        if self._learnt > 1:  # of one there is nothing to merge
            _restore(model, merged)
            if self.norm == "recompute":
                recompute_statistics(strategy, self.n_samples)

    def _begin(self, model: nn.Module) -> None:
        """Store the base where it is needed."""
        if self.start == "base":
            self._base = copied_tensors(model)
        if isinstance(self.rule, Ties):
            self.rule.begin({n: p.detach() for n, p in model.named_parameters()})


def statistics_of(model: nn.Module) -> list[str]:
    """Return the names of a model's buffers of floating numbers, such as running statistics."""
    return [name for name, buffer in model.named_buffers() if buffer.is_floating_point()]


@torch.no_grad()
def _restore(model: nn.Module, values: Tensors) -> None:
    """Copy values into a model; of a part that has grown since, into its old part."""
    own = tensors_of(model)
    for name, value in values.items():
        if name in own:
            own[name][tuple(map(slice, value.shape))].copy_(value)


@torch.no_grad()
def recompute_statistics(strategy: Strategy, n_samples: int = 0) -> None:
    """Measure the running statistics of batch normalisation anew, on the experience's samples.

    Args:
        strategy: In its hook ``after_training_exp``.
        n_samples: How many samples; 0 for all.
    """
    layers = [
        module
        for module in strategy.model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    ]
    if not layers:
        return
    modes = {module: module.training for module in strategy.model.modules()}
    moments = {layer: layer.momentum for layer in layers}
    strategy.model.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all batches
        layer.train()
    with one_head(strategy):
        strategy.rows_of(lambda inputs: model_output(strategy.model, inputs), n_samples)
    for module, mode in modes.items():
        module.training = mode
    for layer, momentum in moments.items():
        layer.momentum = momentum
