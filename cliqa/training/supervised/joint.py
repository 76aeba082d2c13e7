"""Training on all experiences at once: the upper bound of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avalanche.benchmarks import CLExperience
from avalanche.benchmarks.utils.utils import concat_datasets
from torch import nn

from cliqa.registry import STRATEGIES
from cliqa.training.loop.template import Template


@STRATEGIES.register_module()
class JointTraining(Template):
    """One training on the union of the stream's data; a bound, not a continual method.

    With the same number of epochs it takes as many steps as training on the whole stream in turn.
    """

    distributed = "batches are shared, and gradients averaged"
    _joined: Sequence[CLExperience] = ()

    def steps(self, stream: Sequence[CLExperience]) -> list[list[CLExperience]]:
        """Return the whole stream as the only step."""
        return [list(stream)]

    def run_step(
        self, index: int, experiences: list[CLExperience], watched: list[Any] | None
    ) -> None:
        """Train on the union; hooks see the last experience as the current one."""
        self._joined = experiences
        super().run_step(index, experiences[-1:], watched)

    def train_dataset_adaptation(self, **_: object) -> None:
        """Join the data of all experiences."""
        self.adapted_dataset = concat_datasets([e.dataset for e in self._joined]).train()

    def model_adaptation(self, model: nn.Module | None = None) -> nn.Module:
        """Adapt a growing model to every experience."""
        current = self.experience
        adapted: nn.Module = self.model if model is None else model
        for experience in self._joined or [current]:
            self.experience = experience
            adapted = super().model_adaptation(adapted)
        self.experience = current
        return adapted
