"""What the processes of a run exchange in a training step, by DistributedDataParallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.random import fork_rng

from cliqa.training.loop.parallel.batch_norm import SharedStatistics, share_statistics
from cliqa.training.loop.parallel.same_state import check_same_state
from cliqa.training.loop.parallel.shared_batch import SharedBatch
from cliqa.training.strategy import Batch
from cliqa.utils.processes.group import rank, size
from cliqa.utils.processes.shares import counted_rows, from_main_tensors
from cliqa.utils.seed import derive_seed


class _Loss(nn.Module):
    """A model that is given its loss: what DistributedDataParallel sees of a training step.

    A method may need several forward passes, and penalties of weights, for one loss. The wrapper
    looks for unused parameters in the graph of what its module returns, and this is all of it.

    Args:
        model: Has the parameters.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, loss: Tensor) -> Tensor:
        """Return the loss."""
        return loss


class Exchange:
    """What the processes of a run exchange in a training step, and what each keeps for itself.

    Losses of the same whole batches are computed in every process, and outputs pass their gradient
    on times the number of processes (`cliqa.utils.processes.shares.whole`). The mean of the
    gradients, which is taken while they are computed, is thus the gradient of the loss, that of a
    penalty on the weights included.

    It is false, and does nothing, in a run of one process.

    Args:
        seed: The run's seed.
        share_statistics: Batch normalisations compute over the whole batch.
    """

    def __init__(self, seed: int, share_statistics: bool = True) -> None:
        self._seed, self._share = seed, share_statistics
        self._wrapped: DistributedDataParallel | None = None
        self._parameters: list[int] = []
        self._normalisations: list[SharedStatistics] = []
        self._place: tuple[int, ...] = ()
        self._passes = 0

    def __bool__(self) -> bool:
        return size() > 1

    # ---------------------------------------------------------------- passes

    def start(self, model: nn.Module) -> None:
        """Begin a step of the stream: all processes have the main one's model."""
        if not self:
            return
        from_main_tensors({**dict(model.named_parameters()), **dict(model.named_buffers())})
        if self._share:
            self._normalisations = share_statistics(model)

    def at(self, *place: int) -> None:
        """Note the place in the run, from which what a process draws for itself follows."""
        self._place, self._passes = place, 0

    @contextmanager
    def pass_over(self, model: nn.Module, batch: Batch) -> Iterator[None]:
        """Let the model draw random numbers of this process's own inside the block.

        Dropout draws as many numbers as the process has samples; the generators that all processes
        draw from in common stay together.
        """
        if not self:
            yield
            return
        with self._counting(batch):
            if not model.training:
                yield
                return
            self._passes += 1
            with fork_rng(_gpus(model)):
                torch.manual_seed(derive_seed(self._seed, *self._place, self._passes, rank()))
                yield

    @contextmanager
    def _counting(self, batch: Batch) -> Iterator[None]:
        """Let batch normalisations leave out the rows that are no samples of the batch."""
        counts = counted_rows(batch.parts) if isinstance(batch, SharedBatch) else []
        for layer in self._normalisations:
            layer.counted = None if all(counts) else torch.tensor(counts)
        try:
            yield
        finally:
            for layer in self._normalisations:
                layer.counted = None

    # ---------------------------------------------------------------- gradients

    def of(self, model: nn.Module, loss: Tensor) -> Tensor:
        """Return a loss whose backward pass leaves mean gradients in a model's parameters."""
        if not self or not loss.requires_grad:
            return loss
        mean: Tensor = self._of(model)(loss)
        return mean

    def later(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return the context of a loss whose gradient is exchanged with that of a later one."""
        return self._of(model).no_sync() if self else nullcontext()

    def _of(self, model: nn.Module) -> DistributedDataParallel:
        """Return the wrapper of a model; a new one when other parameters train."""
        trained = [id(weight) for weight in model.parameters() if weight.requires_grad]
        if self._wrapped is None or trained != self._parameters:
            if self._wrapped is not None:
                self._wrapped.reducer._remove_autograd_hooks()  # before others are registered
            self._wrapped, self._parameters = None, trained
            self._wrapped = DistributedDataParallel(
                _Loss(model),
                broadcast_buffers=False,
                init_sync=False,  # `start` does it; here it would change weights after a pass
                find_unused_parameters=True,
            )
        return self._wrapped

    # ---------------------------------------------------------------- between epochs and steps

    def agree(self, model: nn.Module) -> None:
        """Give every process the main one's statistics, where each has computed its own."""
        if self and not self._share:
            from_main_tensors(dict(model.named_buffers()))

    def compare(self, state: Callable[[], Mapping[str, Any]], when: str) -> None:
        """Refuse to go on with processes that hold different states; see `check_same_state`."""
        if self:
            check_same_state(state(), when)


def _gpus(model: nn.Module) -> list[torch.device]:
    """Return the GPU that a model is on, whose generator its dropout draws from; none on a CPU."""
    device = next(model.parameters()).device
    return [device] if device.type == "cuda" else []
