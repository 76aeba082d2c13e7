"""The order of an epoch over one chunk of an experience whose samples arrive in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized

import torch

from cliqa.training.loop.batching import KnownOrder


class ChunkOrder(KnownOrder):
    """The samples of the current chunk in random order; a last batch of one sample is left out.

    Args:
        dataset: The samples of the whole experience.
        chunks: Indices of each chunk's samples.
        batch_size: Samples of a batch.
        place: Returns the number of the current chunk.
    """

    def __init__(
        self,
        dataset: Sized,
        chunks: Sequence[Sequence[int]],
        batch_size: int,
        place: Callable[[], int],
    ) -> None:
        self._chunks, self._batch_size, self._place = chunks, batch_size, place
        super().__init__(dataset)  # asks for `num_samples`

    @property
    def num_samples(self) -> int:
        """Samples of the epoch."""
        count = len(self._chunks[self._place()])
        return count - (count > self._batch_size and count % self._batch_size == 1)

    def __iter__(self) -> Iterator[int]:
        chunk = self._chunks[self._place()]
        drawn = torch.randperm(len(chunk))[: self.num_samples].tolist()
        self.order = [chunk[index] for index in drawn]
        yield from self.order
