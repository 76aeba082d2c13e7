"""Shares of batches, and what comes of putting them together."""

from __future__ import annotations

import pytest
import torch

from cliqa.utils.processes.group import rank, size
from cliqa.utils.processes.shares import (
    averaged,
    counted_rows,
    from_main_tensors,
    own_share,
    share_of,
    summed,
    whole,
)
from tests.processes import in_processes


@pytest.mark.parametrize("count", range(10))
@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_shares_are_all_samples_in_order(count: int, processes: int) -> None:
    shares = [share_of(count, place, processes) for place in range(processes)]
    assert [index for share in shares for index in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_has_everything() -> None:
    rows = torch.arange(6.0)
    assert whole(rows, (6,)) is rows
    assert summed(rows) is rows
    assert averaged([rows, None]) == [rows, None]
    assert own_share(3) == range(3)


PARTS = [(7,), (5, 3), (4, 1), (2, 1, 6), (1,)]
"""Batches of parts, some of fewer samples than there are processes."""


def test_rows_come_back_in_the_order_of_one_process() -> None:
    def work() -> list[tuple[torch.Tensor, list[bool]]]:
        found = []
        for parts in PARTS:
            batch = torch.arange(sum(parts), dtype=torch.float64)[:, None] * torch.ones(1, 2)
            pieces = batch.split(parts)
            rows = torch.cat([piece[list(own_share(len(piece)))] for piece in pieces])
            found.append((whole(rows, parts), counted_rows(parts)))
        return found

    for process in in_processes(3, work):
        for parts, (rows, counts) in zip(PARTS, process, strict=True):
            assert rows[:, 1].tolist() == list(range(sum(parts)))
            assert len(counts) == sum(max(1, c) for c in counts) or not all(counts)
    counted = [sum(map(sum, [c for _, c in process])) for process in in_processes(3, work)]
    assert sum(counted) == sum(map(sum, PARTS))  # each sample in one process


def test_the_mean_gradient_is_that_of_the_whole_batch() -> None:
    values = torch.linspace(-1, 1, 5, dtype=torch.float64)

    def loss_of(weight: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        return (outputs / outputs.norm()).prod() + outputs.std() + weight.square()

    def work() -> torch.Tensor:
        weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        rows = (values[list(own_share(5))] * weight).exp()
        loss_of(weight, whole(rows, (5,))).backward()
        (gradient,) = averaged([weight.grad])
        assert gradient is not None
        return gradient

    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    loss_of(weight, (values * weight).exp()).backward()
    assert weight.grad is not None
    for gradient in in_processes(3, work):
        assert float(gradient) == pytest.approx(float(weight.grad), abs=1e-12)


def test_sums_and_the_main_ones_values() -> None:
    def work() -> dict[str, torch.Tensor]:
        own = {"a": torch.full((2, 2), rank() + 1.0), "b": torch.tensor([rank()])}
        found = summed({**own, "c": torch.ones(3, dtype=torch.float64)})
        from_main_tensors(own)
        assert averaged([None]) == [None]
        return {**found, "main": own["b"], "size": torch.tensor(size())}

    for process in in_processes(2, work):
        assert process["a"].tolist() == [[3.0, 3.0], [3.0, 3.0]]
        assert process["b"].tolist() == [1]
        assert process["c"].dtype == torch.float64
        assert process["main"].tolist() == [0]
        assert int(process["size"]) == 2
