"""Replay: a small memory of earlier samples is trained together with the new ones."""

from __future__ import annotations

from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import MixedLoader
from cliqa.training.plugins.rehearsal.memory import SampleMemory
from cliqa.training.strategy import Strategy


@PLUGINS.register_module()
class Replay(SampleMemory):
    """Append a batch from a memory to every batch of new samples (Chaudhry et al., 2019).

    By default the memory is a uniform draw of each experience; see `selection` for others.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        policy: ``"experience_balanced"``: equally many from each experience; ``"class_balanced"``:
            equally many from each class, over all experiences; ``"reservoir"``: uniform over all
            samples, so that a large data set takes a large share. Slots that a small experience or
            class cannot fill go to the others.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the draw; None for the run's.
        selection: Which samples of an experience (or class) are kept first: ``"random"``,
            ``"herding"``, ``"coverage"``, ``"loss"``, ``"uncertainty"``, ``"rainbow"``, or over
            scores ``"score_balanced"``; see `SampleMemory`.

    Raises:
        ConfigError: A size is not positive, a name is unknown, or the policy balances classes where
            there are none.
        ModelError: The selection needs features, and the model has none.
    """

    columns = saved = SampleMemory.columns
    distributed = "every process holds the same memory, whose batches are shared as new ones are"

    def __init__(
        self,
        mem_size: int = 200,
        policy: str = "experience_balanced",
        batch_size_mem: int | None = None,
        seed: int | None = None,
        selection: str = "random",
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed, selection)

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Add the memory to the new batches; it is empty in the first experience."""
        self.check_stream(strategy)
        if strategy.arrived is None:
            self._mix_in(strategy)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Add the memory as it is now to a chunk's batches, where nobody tells boundaries."""
        if strategy.arrived is None:
            return
        while isinstance(strategy.dataloader, MixedLoader):
            strategy.dataloader = strategy.dataloader.new
        self._mix_in(strategy)

    def _mix_in(self, strategy: Strategy) -> None:
        """Add the memory to the new batches, unless it is empty."""
        if len(self):
            memory = self.memory(strategy.experience.origin_stream)
            strategy.mix_in(memory, self.batch_size_mem or strategy.train_mb_size)

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Offer a chunk's samples to the memory, where nobody tells boundaries."""
        if strategy.arrived is not None:
            count = len(strategy.experience.dataset)
            experience, seed = strategy.experience.current_experience, self.seed_of(strategy)
            self.add(experience, count, seed, samples=strategy.arrived)

    def needs_boundaries(self) -> str:
        """Return why an experience's end must be known: for shares, or for a selection."""
        if type(self) is not Replay:
            return super().needs_boundaries()
        if self.selection != "random":
            return "it compares an experience's samples (selection='random' does not)"
        needed = "it shares the memory equally (policy='reservoir' does not)"
        return "" if self.policy == "reservoir" else needed

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Offer the experience's samples to the memory."""
        if strategy.arrived is None:  # else all of its chunks were
            self.remember(strategy)
