"""Averaged gradient episodic memory: no step against the memory's gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cliqa.registry import PLUGINS
from cliqa.training.plugins.rehearsal.memory import SampleMemory
from cliqa.training.strategy import Strategy
from cliqa.utils.processes.shares import averaged


@PLUGINS.register_module()
class AGEM(SampleMemory):
    """Remove from the gradient what would raise the loss on a memory batch.

    Chaudhry et al., "Efficient lifelong learning with A-GEM", ICLR 2019, eq. 11: with g the
    gradient of the new batch and r that of the task loss on a memory batch, g becomes
    ``g - (g . r) / (r . r) r`` where ``g . r < 0``. The memory is not trained on otherwise. An
    optimizer with momentum or scaled steps, such as AdamW, keeps the promise roughly: it holds for
    the gradient. A memory batch is a separate forward and backward pass.

    Args:
        mem_size: Samples in the memory, over all experiences, > 0.
        batch_size_mem: Samples of a memory batch; None for as many as of new ones.
        policy: Who shares the memory; see `Replay`.
        selection: Which samples are kept first; see `Replay`.
        seed: Seed of the draw; None for the run's.

    Raises:
        ConfigError: A size is not positive, or a name is unknown or does not fit the labels.
        ModelError: The selection needs features, and the model has none.
    """

    saved = SampleMemory.columns
    reads_outputs = True
    distributed = "every process holds the same memory; the gradient of its batches is averaged"

    def __init__(
        self,
        mem_size: int = 200,
        batch_size_mem: int | None = None,
        policy: str = "experience_balanced",
        selection: str = "random",
        seed: int | None = None,
    ) -> None:
        super().__init__(mem_size, policy, batch_size_mem, seed, selection)
        self._batches: Iterator[list[Any]] = iter(())

    def before_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Refuse labels or a stream that do not fit the memory."""
        self.check_stream(strategy)

    def before_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Start loading memory batches."""
        self._batches = self.batches(strategy)

    def after_backward(self, strategy: Strategy, **_: object) -> None:
        """Project the gradient."""
        batch = next(self._batches, None)
        if batch is None:
            return
        weights = [weight for weight in strategy.model.parameters() if weight.requires_grad]
        loss = strategy.task_loss(strategy.output_of(batch), batch[1].to(strategy.device))
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        project(weights, averaged(gradients))

    def after_training_epoch(self, strategy: Strategy, **_: object) -> None:
        """Release the loader and its workers."""
        self._batches = iter(())

    def after_training_exp(self, strategy: Strategy, **_: object) -> None:
        """Offer the experience's samples to the memory."""
        self.remember(strategy)


@torch.no_grad()
def project(weights: Sequence[nn.Parameter], reference: Sequence[Tensor | None]) -> None:
    """Remove from the weights' gradients the part that goes against reference gradients.

    Args:
        weights: Their gradients are changed; one without a gradient counts as 0.
        reference: A gradient for each weight, None for 0.
    """
    pairs = [(weight, r) for weight, r in zip(weights, reference, strict=True) if r is not None]
    if not pairs:
        return
    along = torch.stack(
        [(w.grad * r).sum() for w, r in pairs if w.grad is not None]
        or [torch.zeros((), device=pairs[0][1].device)]
    ).sum()
    if not along < 0:
        return
    share = along / torch.stack([r.square().sum() for _, r in pairs]).sum()
    for weight, r in pairs:
        weight.grad = -share * r if weight.grad is None else weight.grad - share * r
