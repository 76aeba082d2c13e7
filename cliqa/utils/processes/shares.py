"""The processes' shares of a batch, and sums over the processes.

Legend: P processes, B samples of a batch, b of them in this process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from cliqa.utils.processes.group import rank, size

Tensors = TypeVar("Tensors", Tensor, dict[str, Tensor])


def share_of(count: int, place: int, processes: int) -> range:
    """Return which of `count` samples a process has; the first ones have one more than the others.

    >>> [list(share_of(5, place, 3)) for place in range(3)]
    [[0, 1], [2, 3], [4]]
    """
    least, more = divmod(count, processes)
    start = place * least + min(place, more)
    return range(start, start + least + (place < more))


def own_share(count: int) -> range:
    """Return which of `count` samples this process loads: its share.

    Where there are fewer samples than processes, one without a share loads the first sample too,
    because a model cannot be asked about none. `whole` leaves it out again.
    """
    return share_of(count, rank(), size()) or range(min(1, count))


@lru_cache(maxsize=64)
def _layout(parts: tuple[int, ...], processes: int) -> tuple[list[int], list[int], list[list[int]]]:
    """Return how the rows of a batch of several parts lie in the processes.

    Args:
        parts: Samples of each part: new ones, those of a memory.
        processes: P.

    Returns:
        Rows of each process; the source of every row of the whole, as place in the processes' rows
        one below the other, each as long as the longest; and by process its rows' places in the
        whole, -1 for a row that does not count.
    """
    places: list[list[int]] = [[] for _ in range(processes)]
    before = 0
    for count in parts:
        for place, own in enumerate(places):
            share = share_of(count, place, processes)
            own += [before + index for index in share] or [-1] * min(1, count)
        before += count
    rows = [len(own) for own in places]
    source = [0] * before
    for place, own in enumerate(places):
        for row, index in enumerate(own):
            if index >= 0:
                source[index] = place * max(rows) + row
    return rows, source, places


def own_places(parts: Sequence[int]) -> list[int]:
    """Return the places in the whole of this process's rows, -1 for one that does not count."""
    return _layout(tuple(parts), size())[2][rank()]


def counted_rows(parts: Sequence[int]) -> list[bool]:
    """Return which of this process's rows count; see `own_share`."""
    return [place >= 0 for place in own_places(parts)]


def whole(rows: Tensor, parts: Sequence[int]) -> Tensor:
    """Return the rows of all processes in the order in which one process would have them.

    The result is the same in every process, and so is what follows from it. The gradient of a loss
    that every process computes from it flows into a process's own rows, times P: the mean over the
    processes, which `DistributedDataParallel` takes, is then the gradient of that loss.

    Args:
        rows: (b, ...), this process's, as its share was loaded.
        parts: Samples of each part of the batch, B in all.

    Returns:
        (B, ...).
    """
    if size() == 1:
        return rows
    gathered: Tensor = _Whole.apply(rows, tuple(parts))
    return gathered


class _Whole(torch.autograd.Function):
    """`whole`, with its gradient."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, parts: tuple[int, ...]) -> Tensor:  # noqa: ANN401
        """Exchange the rows."""
        counts, source, places = _layout(parts, size())
        own, most = counts[rank()], max(counts)
        ctx.places = places[rank()]
        padded = rows.detach().contiguous()
        if own < most:
            padded = torch.cat([padded, padded.new_zeros(most - own, *padded.shape[1:])])
        found = [torch.empty_like(padded) for _ in range(size())]
        distributed.all_gather(found, padded)
        return torch.cat(found)[torch.tensor(source, device=rows.device)]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """Return the gradient of this process's own rows, times P."""
        places = torch.tensor(ctx.places, device=slope.device)
        own = slope[places.clamp(min=0)] * size()
        own[places < 0] = 0
        return own, None


def summed(tensors: Tensors) -> Tensors:
    """Return the sums over the processes of a tensor, or of tensors by name; in their dtypes."""
    if size() == 1:
        return tensors
    if isinstance(tensors, Tensor):
        return _summed([tensors])[0]
    return dict(zip(tensors, _summed(list(tensors.values())), strict=True))


def differentiable_sum(tensor: Tensor) -> Tensor:
    """Return the sum over the processes of a tensor, through which gradients of all flow back."""
    total: Tensor = _Sum.apply(tensor)
    return total


class _Sum(torch.autograd.Function):
    """A sum over the processes; each part gets the gradients that all of them have of it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ANN401
        """Add up."""
        return _summed([tensor])[0]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:  # noqa: ANN401
        """Add up the gradients."""
        return _summed([slope])[0]


def averaged(tensors: Iterable[Tensor | None]) -> list[Tensor | None]:
    """Return the means over the processes of tensors; None where there is none, as in all."""
    found = list(tensors)
    if size() == 1:
        return found
    means = iter(_summed([tensor / size() for tensor in found if tensor is not None]))
    return [None if tensor is None else next(means) for tensor in found]


def from_main_tensors(tensors: Mapping[str, Tensor]) -> None:
    """Copy the main process's values into tensors of the same names."""
    if size() > 1:
        for tensor in tensors.values():
            distributed.broadcast(tensor.detach(), src=0)


def _summed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the sums over the processes, in one exchange for each dtype."""
    sums = list(tensors)
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        places = [place for place, tensor in enumerate(tensors) if tensor.dtype == dtype]
        flat = torch.cat([tensors[place].detach().reshape(-1) for place in places])
        distributed.all_reduce(flat)
        parts = flat.split([tensors[place].numel() for place in places])
        for place, part in zip(places, parts, strict=True):
            sums[place] = part.view(tensors[place].shape)
    return sums
