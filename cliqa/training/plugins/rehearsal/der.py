"""Dark experience replay: a memory of samples and of the model's outputs for them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from cliqa.losses.distillation import output_distance
from cliqa.models.arguments import check_least
from cliqa.registry import PLUGINS
from cliqa.training.loop.batching import batch_places
from cliqa.training.loop.stream_data import ratings_in
from cliqa.training.plugins.rehearsal.joined_pass import JoinedPass
from cliqa.training.plugins.rehearsal.memory import SampleMemory, joined_samples
from cliqa.training.plugins.rehearsal.selection import outputs_over
from cliqa.training.strategy import Strategy
from cliqa.utils.seed import generator


@PLUGINS.register_module()
class DER(SampleMemory):
    """Keep the model's outputs close to those at the time a sample entered the memory.

    Buzzega et al., "Dark experience for general continual learning", NeurIPS 2020: the loss gets
    ``alpha * MSE(outputs then, outputs now)`` of one memory batch (eq. 5), and with beta > 0
    ``beta * task loss`` of a second one (DER++, eq. 6). The memory is a reservoir (Vitter, 1985)
    over all training samples, filled after every step: a sample is offered once per epoch. The
    stored outputs are those of the training step, of the augmented sample in training mode. Where
    no layer compares samples, new and memory batches share one forward pass, which gives the same
    outputs; where batch normalisation is trained, the two memory batches share a pass of their own
    (`JoinedPass`).

    With another `policy` or `selection` the memory is filled when an experience ends, as that of
    `Replay`, and the stored outputs are those of the model then, with the evaluation transform.

    Samples are references into the stream's data sets, not copies, and are augmented again whenever
    they are drawn. An epoch draws from the memory as it was at the epoch's start, so that worker
    processes can load ahead.

    Args:
        mem_size: Samples in the memory, > 0.
        alpha: Factor of the distance from the stored outputs, >= 0.
        beta: Factor of the task loss on memory samples, >= 0.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        seed: Seed of the reservoir; None for the run's.
        policy: ``"reservoir"``, or as in `Replay`.
        selection: Which samples are kept first; see `Replay`.

    Raises:
        ConfigError: A number is out of range, a name is unknown, or the strategy does not train on
            one experience at a time.
    """

    saved = (*SampleMemory.columns, "_seen", "_output")
    reads_outputs = True
    distributed = "every process holds the same memory and stored outputs; its batches are shared"

    def __init__(
        self,
        mem_size: int = 200,
        alpha: float = 0.1,
        beta: float = 0.5,
        batch_size_mem: int | None = None,
        seed: int | None = None,
        policy: str = "reservoir",
        selection: str = "random",
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed, selection)
        check_least("DER", 0, alpha=alpha, beta=beta)
        self._online = policy == "reservoir" and selection == "random"
        self.alpha = alpha
        self.beta = beta
        self._seen = 0  # samples offered so far
        self._output = torch.zeros(0)  # (M,) or (M, K) float32; NaN where a head had no unit yet
        self._batches: Iterator[tuple[list[Any], Tensor]] = iter(())
        self._now: list[tuple[list[Any], Tensor]] = []  # this step's, with the stored outputs
        self._pass = JoinedPass(self)

    # ---------------------------------------------------------------- hooks

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse a strategy that trains on several experiences at once."""
        self.check_single(strategy)
        self.check_stream(strategy)

    def needs_boundaries(self) -> str:
        """Return nothing for the reservoir: every batch is offered to it as it comes."""
        return "" if self._online else super().needs_boundaries()

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Start loading memory batches, unless the memory is empty."""
        terms = (self.alpha > 0) + (self.beta > 0)
        self._pass.start(strategy)
        self._batches = self._drawn(strategy, terms) if terms and len(self) else iter(())

    def before_forward(self, strategy: Strategy, **_: object) -> None:
        """Draw a memory batch for each term; they join the new batch where that is the same."""
        terms = (self.alpha > 0) + (self.beta > 0)
        self._now = list(islice(self._batches, terms))
        self._pass.before(strategy, [batch for batch, _ in self._now])

    def after_forward(self, strategy: Strategy, **_: object) -> None:
        """Keep the memory's outputs apart from the new batch's."""
        self._pass.after(strategy)

    def before_backward(self, strategy: Strategy, **_: object) -> None:
        """Add the terms of the memory to the loss."""
        drawn = list(zip(self._now, self._pass.outputs(strategy), strict=True))
        if drawn and self.alpha > 0:
            (_batch, stored), outputs = drawn.pop(0)
            strategy.loss = strategy.loss + self.alpha * output_distance(outputs, stored)
        if drawn:
            (batch, _stored), outputs = drawn.pop(0)
            targets = batch[1].to(strategy.device)
            task = strategy.task_loss(outputs, targets, ratings_in(batch))
            strategy.loss = strategy.loss + self.beta * task

    def after_training_iteration(self, strategy: Strategy, **_: object) -> None:
        """Offer the batch's new samples and their outputs to the reservoir."""
        if not self._online:
            return
        places = strategy.new_places()
        outputs = strategy.mb_output[: len(places)].detach().float()
        self.offer(strategy.experience.current_experience, places, outputs, self.seed_of(strategy))

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Release the loader and its workers."""
        self._batches = iter(())

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Offer the experience's samples and their outputs to a memory that is no reservoir."""
        if self._online:
            return
        data = strategy.measured(strategy.experience.dataset)
        outputs = outputs_over(strategy, data).to(strategy.device)
        self._widen_for(outputs)
        joined = torch.cat([self._output, _widened(outputs, self._output.shape)])
        self._output = joined[self.remember(strategy).to(joined.device)]

    # ---------------------------------------------------------------- memory

    def offer(self, experience: int, places: list[int], outputs: Tensor, seed: int) -> None:
        """Offer samples to the reservoir: Vitter's algorithm R.

        The n-th sample takes a free slot, or replaces a stored one with probability M / n.

        Args:
            experience: The experience's index in the stream.
            places: B indices in the experience's data set.
            outputs: (B,) or (B, K), float32.
            seed: Seed of the draw.
        """
        draws = torch.rand(
            len(places), generator=generator(seed, "der", self._seen), dtype=torch.float64
        )
        chosen: dict[int, int] = {}  # slot -> sample; later samples replace earlier ones
        for sample, draw in enumerate(draws.tolist()):
            slot = self._seen if self._seen < self.mem_size else int(draw * (self._seen + 1))
            if slot < self.mem_size:
                chosen[slot] = sample
            self._seen += 1
        self._make_room(max(chosen, default=-1) + 1, outputs)
        slots = torch.tensor(list(chosen), dtype=torch.long)
        samples = torch.tensor(list(chosen.values()), dtype=torch.long)
        self._experience[slots] = experience
        self._index[slots] = torch.tensor(places, dtype=torch.long)[samples]
        rows = slots.to(self._output.device)
        self._output[rows] = _widened(outputs[samples.to(outputs.device)], self._output.shape)

    def _make_room(self, size: int, outputs: Tensor) -> None:
        """Enlarge the memory to `size` slots if needed, and to the outputs' width."""
        new = max(0, size - len(self))
        for name in self.columns:
            column = getattr(self, name)
            setattr(self, name, torch.cat([column, column.new_zeros(new)]))
        self._widen_for(outputs)
        own = self._output
        self._output = torch.cat([own, own.new_zeros(new, *own.shape[1:])])

    def _widen_for(self, outputs: Tensor) -> None:
        """Widen the stored outputs to the width of new ones."""
        if not len(self._output):
            self._output = outputs.new_zeros(0, *outputs.shape[1:])
        self._output = _widened(self._output, outputs.shape)

    def _drawn(self, strategy: Strategy, terms: int) -> Iterator[tuple[list[Any], Tensor]]:
        """Yield memory batches and their stored outputs, `terms` of them for every step."""
        order = torch.argsort(self._experience, stable=True)  # the order of the joined data sets
        stream = strategy.experience.origin_stream
        memory = joined_samples(stream, self._experience[order], self._index[order])
        stored = self._output[order.to(self._output.device)]  # a copy: the memory changes meanwhile
        size = self.batch_size_mem or strategy.train_mb_size
        samples = terms * size * len(strategy.dataloader)
        loader = strategy.loader(memory, train=True, batch_size=size, samples=samples)
        for number, batch in enumerate(loader):
            places = torch.tensor(batch_places(loader, number), device=stored.device)
            yield batch, stored[places]


def _widened(outputs: Tensor, shape: torch.Size) -> Tensor:
    """Return outputs (B, k) with NaN in the columns up to the K of `shape`."""
    missing = shape[1] - outputs.shape[1] if len(shape) > 1 else 0
    if missing <= 0:
        return outputs
    return torch.cat([outputs, outputs.new_full((len(outputs), missing), float("nan"))], dim=1)
