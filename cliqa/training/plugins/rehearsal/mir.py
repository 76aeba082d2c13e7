"""Maximally interfered retrieval: replay of what the next step would harm most."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cliqa.models.arguments import check_integer
from cliqa.models.freezing import set_training
from cliqa.registry import PLUGINS
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.rehearsal.selection import sample_losses
from cliqa.training.strategy import Batch, Strategy
from cliqa.utils.errors import ConfigError


@PLUGINS.register_module()
class MIR(Replay):
    """Append those of some memory samples whose loss a step on the new batch would raise most.

    Aljundi et al., "Online continual learning with maximally interfered retrieval", NeurIPS 2019,
    algorithm 1 (ER-MIR): for every batch, a step of plain gradient descent at the current learning
    rate is taken on the new samples and undone; of `candidates` samples from the memory the
    `batch_size_mem` with the largest increase of the loss join the batch. The increase is that of
    the cross-entropy, over scores of the squared error, in evaluation mode. Every step costs a
    second pass over the new batch and two forward passes over the candidates.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        candidates: Memory samples to choose from, > 0.
        batch_size_mem: Samples that join a batch; None for as many as of new ones, at most
            `candidates`.
        policy: Who shares the memory; see `Replay`.
        selection: Which samples are kept first; see `Replay`.
        seed: Seed of the draw; None for the run's.

    Raises:
        ConfigError: A size is not positive, more samples are to join than there are candidates, or
            a name is unknown or does not fit the labels.
        ModelError: The selection needs features, and the model has none.
    """

    columns = saved = Replay.columns
    reads_outputs = True

    def __init__(
        self,
        mem_size: int = 200,
        candidates: int = 50,
        batch_size_mem: int | None = None,
        policy: str = "experience_balanced",
        selection: str = "random",
        seed: int | None = None,
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed, selection)
        check_integer("MIR", 1, candidates=candidates)
        if batch_size_mem is not None and batch_size_mem > candidates:
            raise ConfigError(
                f"MIR: batch_size_mem={batch_size_mem} samples cannot be chosen from "
                f"candidates={candidates}. Set candidates to twice as many or more."
            )
        self.candidates = candidates
        self._batches: Iterator[list[Any]] = iter(())

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse labels or a stream that do not fit the memory."""
        self.check_stream(strategy)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Start loading candidates."""
        self._batches = self.batches(strategy, self.candidates)

    def before_training_iteration(self, strategy: Strategy, **_: object) -> None:
        """Append the chosen samples to the batch."""
        batch = next(self._batches, None)
        if batch is None:
            return
        count = self.batch_size_mem or strategy.train_mb_size
        chosen = interference(strategy, batch).argsort(descending=True, stable=True)[:count]
        parts = zip(strategy.mbatch, batch, strict=True)
        strategy.mbatch = [
            torch.cat([own, part.to(strategy.device)[chosen.to(strategy.device)]])
            for own, part in parts
        ]

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Release the loader and its workers."""
        self._batches = iter(())


def interference(strategy: Strategy, batch: Batch) -> Tensor:
    """Return by how much a step on the current batch would raise each sample's loss, (B,).

    The model is left as it was.

    Args:
        strategy: The strategy, in an iteration.
        batch: B samples.
    """
    model = strategy.model
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    output = strategy.output_of(strategy.mbatch)
    loss = strategy.task_loss(output, strategy.mb_y)
    rates = {
        weight: float(group["lr"])
        for group in strategy.optimizer.param_groups
        for weight in group["params"]
        if weight.requires_grad
    }
    weights = list(rates)
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for buffer, value in buffers:  # the forward pass has moved the statistics
            buffer.copy_(value)
        targets = batch[1].to(strategy.device)
        model.eval()
        before = sample_losses(strategy.output_of(batch), targets)
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                weight -= rates[weight] * gradient
        after = sample_losses(strategy.output_of(batch), targets)
        for weight, value in zip(weights, kept, strict=True):
            weight.copy_(value)
        set_training(model, True)
    return after - before
