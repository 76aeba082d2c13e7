"""Training on all data seen so far: an upper bound after each experience."""

from __future__ import annotations

from collections.abc import Sequence

from avalanche.benchmarks import CLExperience
from avalanche.benchmarks.utils.utils import concat_datasets

from cliqa.registry import STRATEGIES
from cliqa.training.loop.template import Template


@STRATEGIES.register_module()
class Cumulative(Template):
    """Each experience is trained together with all earlier ones.

    The data come from the stream itself, so a checkpoint needs no copy.
    """

    distributed = "batches are shared, and gradients averaged"

    def samples_of(self, steps: Sequence[Sequence[CLExperience]], index: int) -> int:
        """Return how many samples an epoch trains on, with those of earlier experiences."""
        one = super().samples_of
        return sum(one(steps, k) for k in range(index + 1))

    def train_dataset_adaptation(self, **_: object) -> None:
        """Join the current experience's data and all earlier ones'."""
        stream = self.experience.origin_stream
        seen = range(self.experience.current_experience + 1)
        self.adapted_dataset = concat_datasets([stream[k].dataset for k in seen]).train()
