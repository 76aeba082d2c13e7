"""ER-ACE: new samples compete among their own classes, remembered ones among all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from cliqa.registry import PLUGINS
from cliqa.training.loop.stream_data import classes_of
from cliqa.training.plugins.rehearsal.joined_pass import JoinedPass
from cliqa.training.plugins.rehearsal.memory import SampleMemory
from cliqa.training.strategy import Strategy
from cliqa.utils.errors import ConfigError


@PLUGINS.register_module()
class ER_ACE(SampleMemory):  # noqa: N801  as the paper and Avalanche write it
    """Replay with an asymmetric loss, over classes.

    Caccia et al., "New insights on reducing abrupt representation change in online continual
    learning", ICLR 2022, eq. 3: the task loss of the new samples over the logits of the classes in
    their batch alone, so that they do not push the old classes away, plus the task loss of a memory
    batch over all logits. As in the paper the memory holds samples of the new classes too, or these
    would never compete with the old: the experience's samples are offered before its training. The
    memory batch shares the forward pass of the new one where no layer compares samples
    (`JoinedPass`), else it has one of its own. The first experience is plain training.

    Over scores there are no logits to leave out, and the method would be `Replay`.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        policy: Who shares the memory; see `Replay`.
        seed: Seed of the draw; None for the run's.

    Raises:
        ConfigError: A size is not positive, `policy` is unknown, or the stream has scores.
    """

    saved = (*SampleMemory.columns, "_added")
    reads_outputs = True
    distributed = "every process holds the same memory, whose batches are shared as new ones are"
    reads_classes = True

    def __init__(
        self,
        mem_size: int = 200,
        batch_size_mem: int | None = None,
        policy: str = "class_balanced",
        seed: int | None = None,
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed)
        self._batches: Iterator[list[Any]] = iter(())
        self._now: list[list[Any]] = []  # this step's memory batch
        self._pass = JoinedPass(self)

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse scores and another stream, and offer the samples to the memory."""
        if not classes_of(strategy.experience):
            raise ConfigError(
                "ER_ACE: it leaves out logits of old classes, and this stream has scores. Use "
                "'Replay'."
            )
        self.check_stream(strategy)
        self.remember_first(strategy)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Start loading memory batches, if there are earlier experiences in the memory."""
        own = strategy.experience.current_experience
        earlier = bool((self._experience != own).any())
        self._pass.start(strategy)
        self._batches = self.batches(strategy) if earlier else iter(())

    def before_forward(self, strategy: Strategy, **_: object) -> None:
        """Draw a memory batch; it joins the new one where that is the same."""
        self._now = list(islice(self._batches, 1))
        self._pass.before(strategy, self._now)

    def after_forward(self, strategy: Strategy, **_: object) -> None:
        """Keep the memory's outputs apart from the new batch's."""
        self._pass.after(strategy)

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Replace the task loss by that of the batch's classes, and add the memory's."""
        found = self._pass.outputs(strategy)
        if not found:
            return
        outputs, targets = strategy.mb_output, strategy.mb_y
        present, places = targets.unique(return_inverse=True)
        own = strategy.task_loss(outputs[:, present], places)
        old = strategy.task_loss(found[0], self._now[0][1].to(strategy.device))
        task = strategy.task_loss(outputs, targets)
        strategy.loss = strategy.loss + (own - task) + old

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Release the loader and its workers."""
        self._batches = iter(())
