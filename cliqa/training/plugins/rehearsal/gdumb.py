"""GDumb: a balanced memory, and a training from scratch on it alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from cliqa.models.arguments import check_choice
from cliqa.registry import PLUGINS
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.plugins.rehearsal.memory import SampleMemory
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ModelError

BALANCED = ("random", "score_balanced")


@PLUGINS.register_module()
class GDumb(SampleMemory):
    """Fill a balanced memory, and train the model from its first weights on the memory alone.

    Prabhu et al., "GDumb: a simple approach that questions our progress in continual learning",
    ECCV 2020: nothing is learnt from the stream but what the memory holds, so that a method with as
    large a memory should do better. Each experience's samples enter the memory before its training;
    an epoch draws as many samples from it as the experience has, so that it costs what fine-tuning
    costs. The memory keeps equally many samples of each class; over scores equally many of each
    data set, spread evenly over the quantiles of its scores.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        policy: Who shares the memory; see `Replay`. None: ``"class_balanced"`` over classes,
            ``"experience_balanced"`` over scores.
        selection: ``"random"`` or ``"score_balanced"``. None: the second over scores.
        seed: Seed of the draw; None for the run's.

    Raises:
        ConfigError: A size is not positive, a name is unknown or does not fit the labels, or the
            strategy does not train on one experience at a time.
        ModelError: The model has grown.
    """

    saved = (*SampleMemory.columns, "_added", "_initial")
    distributed = "every process holds the same memory, whose batches are shared as new ones are"

    def __init__(
        self,
        mem_size: int = 200,
        policy: str | None = None,
        selection: str | None = None,
        seed: int | None = None,
    ) -> None:
        check_choice("GDumb", (None, *BALANCED), selection=selection)
        super().__init__(
            mem_size, policy or "experience_balanced", None, seed, selection or "random"
        )
        self._given = policy, selection
        self._initial: dict[str, Tensor] | None = None  # the model's tensors before any training

    def after_train_dataset_adaptation(self, strategy: Strategy, **_: object) -> None:
        """Offer the experience's samples, and train on the memory in their place."""
        self.check_single(strategy)
        policy, selection = self._given
        classes = bool(classes_of(strategy.experience))
        self.policy = policy or ("class_balanced" if classes else "experience_balanced")
        self.selection = selection or ("random" if classes else "score_balanced")
        self.check_stream(strategy)
        self.remember_first(strategy)
        strategy.adapted_dataset = self.memory(strategy.experience.origin_stream)

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Set the first weights, and draw as many samples as the experience has."""
        if self._initial is None:
            own = strategy.model.state_dict()
            self._initial = {name: value.detach().clone() for name, value in _tensors(own).items()}
        restart(strategy, self._initial)
        strategy.dataloader = strategy.loader(
            strategy.adapted_dataset, train=True, samples=len(strategy.experience.dataset)
        )

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Forget the optimizer's statistics with the weights that they are of."""
        if strategy.epochs_done == 0:
            strategy.optimizer.state.clear()


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the tensors of a state by name."""
    return {name: value for name, value in state.items() if isinstance(value, Tensor)}


@torch.no_grad()
def restart(strategy: Strategy, initial: dict[str, Tensor]) -> None:
    """Give the model its first weights and statistics.

    Raises:
        ModelError: It has other tensors now.
    """
    own = _tensors(strategy.model.state_dict())
    changed = [n for n, v in own.items() if n not in initial or initial[n].shape != v.shape]
    if changed:
        raise ModelError(
            f"GDumb: '{changed[0]}' of the model has changed its shape since the stream began, so "
            "it cannot begin again. Use a model whose head has room for all classes, and no "
            "plugin that prunes or grows it."
        )
    for name, value in own.items():
        value.copy_(initial[name])
