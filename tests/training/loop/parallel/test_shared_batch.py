"""Batches whose inputs lie in several processes."""

from __future__ import annotations

import pytest
import torch

from cliqa.training.loop.batching import RaggedImages
from cliqa.training.loop.parallel.shared_batch import (
    SharedBatch,
    joined,
    moved,
    own_samples,
    shared,
)
from cliqa.utils.errors import DatasetError
from cliqa.utils.processes.shares import own_share
from tests.processes import in_processes


def test_targets_of_all_come_with_the_inputs_here() -> None:
    def work() -> dict[str, object]:
        columns = [
            torch.arange(5),
            torch.linspace(0, 1, 5),
            torch.arange(10.0).view(5, 2),
            torch.arange(5) > 2,
        ]
        own = list(own_share(5))
        batch = shared([torch.arange(5.0)[own], *(column[own] for column in columns)], 5)
        for found, column in zip(batch[1:], columns, strict=True):
            assert found.dtype == column.dtype
            assert torch.equal(found, column)
        memory = shared([torch.tensor([9.0]), torch.tensor([7])], 1)
        both = joined([SharedBatch(batch[:2], batch.parts), memory])
        there = moved(both, torch.device("cpu"))
        assert isinstance(there, SharedBatch)
        inputs, targets = own_samples(there)
        return {"inputs": inputs.tolist(), "targets": targets.tolist(), "parts": there.parts}

    first, second = in_processes(2, work)
    assert first == {"inputs": [0, 1, 2, 9], "targets": [0, 1, 2, 7], "parts": (5, 1)}
    assert second == {"inputs": [3, 4], "targets": [3, 4], "parts": (5, 1)}


def test_a_row_that_does_not_count_may_be_the_first() -> None:
    def work() -> list[object]:
        new, memory = torch.arange(1.0), torch.arange(10.0, 13)
        parts = [part[list(own_share(len(part)))] for part in (new, memory)]
        targets = torch.cat([new, memory])
        found: list[object] = []
        for inputs in (torch.cat(parts), RaggedImages(torch.cat(parts))):
            own, known = SharedBatch([inputs, targets], (1, 3)).own()
            assert type(own) is type(inputs)
            found += [[float(row) for row in own], known.tolist()]
        return found

    first, second = in_processes(2, work)
    assert first == [[0, 10, 11]] * 4
    assert second == [[12]] * 4  # its share of one new sample is none


def test_one_process_has_plain_batches() -> None:
    batch = [torch.zeros(2, 3), torch.ones(2)]
    assert own_samples(batch) == (batch[0], batch[1])
    both = joined([batch, batch])
    assert type(both) is list
    assert [len(part) for part in both] == [4, 4]
    assert type(moved(batch, torch.device("cpu"))) is list


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(DatasetError, match="no numbers cannot be shared by several processes"):
        shared([torch.zeros(1), ["a text"]], 1)
