"""What processes exchange in a step, and what each draws for itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cliqa.training.loop.parallel.exchange import Exchange
from cliqa.utils.processes.group import rank
from tests.processes import in_processes


class Heads(nn.Module):
    """Two heads, of which a step uses one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(rank())  # the processes differ until `start`
        self.heads = nn.ModuleList([nn.Linear(3, 1), nn.Linear(3, 1)])
        self.norm = nn.BatchNorm1d(3)


def test_gradients_are_means_and_unused_weights_have_none() -> None:
    def work() -> dict[str, Any]:
        model: Any = Heads()
        exchange = Exchange(0)
        exchange.start(model)
        first = model.heads[0].weight
        same = first.detach().clone()
        exchange.of(model, (rank() + 1) * first.sum() + first.square().sum()).backward()
        assert first.grad is not None
        mean = (first.grad - 2 * first).mean()
        assert model.heads[1].weight.grad is None
        model.heads[0].requires_grad_(False)  # as a method freezes what it has learnt
        exchange.of(model, (rank() + 1) * model.heads[1].weight.sum()).backward()
        return {"weight": same, "mean": float(mean), "next": model.heads[1].weight.grad}

    found = in_processes(2, work)
    assert torch.equal(found[0]["weight"], found[1]["weight"])
    assert [round(part["mean"], 6) for part in found] == [1.5, 1.5]
    assert [part["next"].tolist() for part in found] == [[[1.5] * 3]] * 2


def test_accumulated_gradients_are_exchanged_once() -> None:
    def work() -> list[float]:
        model, exchange = nn.Linear(1, 1, bias=False), Exchange(0)
        exchange.start(model)
        with exchange.later(model):
            exchange.of(model, (rank() + 1) * model.weight.sum()).backward()
        assert model.weight.grad is not None
        own = float(model.weight.grad)
        exchange.of(model, 10 * model.weight.sum()).backward()
        return [own, float(model.weight.grad)]

    assert in_processes(2, work) == [[1.0, 11.5], [2.0, 11.5]]


def test_dropout_differs_between_processes_and_nothing_else_does() -> None:
    def work() -> dict[str, Any]:
        model, exchange = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5)), Exchange(3)
        torch.manual_seed(0)
        exchange.at(0, 1, 2)
        drawn = []
        for batch in (torch.ones(2 + rank(), 64), torch.ones(2, 64)):
            with exchange.pass_over(model, [batch]):
                drawn.append((model(batch)[0] == 0).tolist())
        exchange.at(0, 1, 2)
        with exchange.pass_over(model, [batch]):
            again = (model(batch)[0] == 0).tolist()
        return {"masks": drawn, "again": again, "next": torch.rand(3).tolist()}

    first, second = in_processes(2, work)
    assert first["next"] == second["next"]  # the common generator
    assert first["masks"] != second["masks"]
    assert first["masks"][0] != first["masks"][1]
    assert first["masks"][0] == first["again"]  # the same place gives the same: a resumed run


def test_statistics_of_their_own_are_the_main_ones_after_an_epoch() -> None:
    def work() -> list[float]:
        model: Any = Heads()
        exchange = Exchange(0, share_statistics=False)
        exchange.start(model)
        model.norm.running_mean.fill_(float(rank() + 5))
        exchange.agree(model)
        found: list[float] = model.norm.running_mean.tolist()
        return found

    assert in_processes(2, work) == [[5.0] * 3] * 2


def test_one_process_exchanges_nothing() -> None:
    model, exchange = nn.Linear(2, 1), Exchange(0)
    assert not exchange
    loss = model.weight.sum()
    assert exchange.of(model, loss) is loss
    with exchange.later(model), exchange.pass_over(model, [torch.zeros(1)]):
        before = torch.get_rng_state()
    exchange.start(model)
    exchange.agree(model)
    assert torch.equal(torch.get_rng_state(), before)
