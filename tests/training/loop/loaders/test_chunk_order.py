"""Which samples an epoch over a chunk has."""

from __future__ import annotations

import torch

from cliqa.training.loop.loaders.chunk_order import ChunkOrder
from cliqa.training.loop.loaders.image_loader import make_loader

CHUNKS = ((5, 3, 9), (0, 1, 2, 4, 6), (7, 8))


def batches(place: int, size: int) -> list[list[int]]:
    torch.manual_seed(0)
    data = [(torch.zeros(1), torch.tensor(index)) for index in range(10)]
    order = ChunkOrder(data, CHUNKS, size, lambda: place)
    loader = make_loader(data, size, train=True, sampler=order)
    found = [targets.tolist() for _, targets in loader]
    assert len(loader) == len(found)
    assert [index for batch in found for index in batch] == order.order
    return found


def test_an_epoch_has_its_chunk_alone() -> None:
    for place, chunk in enumerate(CHUNKS):
        (batch,) = batches(place, 8)
        assert sorted(batch) == sorted(chunk)


def test_a_last_batch_of_one_sample_is_left_out() -> None:
    assert [len(batch) for batch in batches(1, 4)] == [4]
    assert [len(batch) for batch in batches(1, 3)] == [3, 2]
    assert [len(batch) for batch in batches(0, 2)] == [2]


def test_the_order_is_drawn() -> None:
    assert batches(1, 8) == batches(1, 8)
    assert batches(1, 8) != [list(CHUNKS[1])]
