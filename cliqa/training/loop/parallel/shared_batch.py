"""Batches whose inputs lie in several processes.

Legend: B samples of a batch, b of them in this process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from cliqa.utils.errors import DatasetError
from cliqa.utils.processes.shares import own_places, whole


class SharedBatch(list[Any]):
    """``[inputs (b, ...), targets (B,), ...]``: this process's inputs, and the rest of all samples.

    Args:
        content: The batch.
        parts: Samples of each part of the batch, B in all: new ones, those of a memory.
    """

    def __init__(self, content: Sequence[Any], parts: Sequence[int]) -> None:
        super().__init__(content)
        self.parts = tuple(parts)

    def whole(self, rows: Tensor) -> Tensor:
        """Return what all processes made of their inputs, (b, ...) -> (B, ...); see `whole`."""
        return whole(rows, self.parts)

    def own(self) -> tuple[Any, Tensor]:
        """Return `own_samples`."""
        places, inputs = own_places(self.parts), self[0]
        kept = [row for row, place in enumerate(places) if place >= 0]
        if len(kept) < len(places):
            several = not isinstance(inputs, Tensor)  # images of different sizes
            inputs = type(inputs)(inputs[row] for row in kept) if several else inputs[kept]
        targets: Tensor = self[1]
        own = torch.tensor([places[row] for row in kept], dtype=torch.long, device=targets.device)
        return inputs, targets[own]


def shared(batch: Sequence[Any], count: int) -> SharedBatch:
    """Return a batch of which this process has loaded its share.

    Args:
        batch: ``[inputs, targets, ...]``, all of this process's samples.
        count: B.

    Raises:
        DatasetError: The samples have attributes that are no tensors.
    """
    inputs, *others = batch
    if not all(isinstance(part, Tensor) for part in others):
        raise DatasetError(
            "samples with attributes that are no numbers cannot be shared by several processes. "
            "Train in a single one, without torchrun."
        )
    return SharedBatch([inputs, *_whole_columns(others, count)], (count,))


def _whole_columns(columns: Sequence[Tensor], count: int) -> list[Tensor]:
    """Return the targets and labels of all samples, in one exchange."""
    if not columns:
        return []
    rows = len(columns[0])
    wide = [column.reshape(rows, -1).double() for column in columns]  # exact: labels are < 2^53
    everything = whole(torch.cat(wide, dim=1), (count,))
    parts = everything.split([part.shape[1] for part in wide], dim=1)
    return [
        part.to(column.dtype).reshape(count, *column.shape[1:])
        for part, column in zip(parts, columns, strict=True)
    ]


def own_samples(batch: Sequence[Any]) -> tuple[Any, Tensor]:
    """Return this process's samples of a batch: inputs and targets (b, ...), b >= 0."""
    return batch.own() if isinstance(batch, SharedBatch) else (batch[0], batch[1])


def joined(batches: Sequence[Sequence[Any]]) -> list[Any]:
    """Return several batches as one, the samples of the first ones first."""
    content = [torch.cat(parts) for parts in zip(*batches, strict=True)]
    if not isinstance(batches[0], SharedBatch):
        return content
    return SharedBatch(content, [count for batch in batches for count in batch.parts])  # type: ignore[attr-defined]


def moved(batch: Sequence[Any], device: torch.device) -> list[Any]:
    """Return a batch on a device."""
    content = [part.to(device) for part in batch]
    return SharedBatch(content, batch.parts) if isinstance(batch, SharedBatch) else content
