"""Batch normalisation of shares is that of the whole batch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from cliqa.training.loop.parallel.batch_norm import SharedStatistics, share_statistics
from cliqa.utils.processes.shares import averaged, counted_rows, own_share, whole
from tests.processes import in_processes

KINDS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "images": (nn.BatchNorm2d(3), (3, 4, 4)),
    "vectors": (nn.BatchNorm1d(5), (5,)),
    "rows": (nn.BatchNorm1d(2), (2, 6)),
    "plain": (nn.BatchNorm2d(3, affine=False, track_running_stats=False), (3, 4, 4)),
    "mean of all": (nn.BatchNorm2d(3, momentum=None), (3, 4, 4)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 5])  # in three processes: one has no sample of two
def test_it_computes_over_the_whole_batch(kind: str, count: int) -> None:
    layer, shape = KINDS[kind]
    torch.manual_seed(0)
    batches = [torch.randn(count, *shape).double() * 3 + 1 for _ in range(2)]
    layer = copy.deepcopy(layer).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)

    def ends(split: bool) -> dict[str, torch.Tensor]:
        own = copy.deepcopy(layer)
        found: dict[str, torch.Tensor] = {}
        for place, batch in enumerate(batches):
            inputs = (batch[list(own_share(count))] if split else batch).clone().requires_grad_()
            if split:
                (shared,) = share_statistics(own)
                shared.counted = torch.tensor(counted_rows((count,)))
            outputs = own(inputs)
            outputs = whole(outputs, (count,)) if split else outputs
            loss = (outputs * torch.arange(outputs.numel()).view(outputs.shape)).sin().sum()
            loss.backward()
            assert inputs.grad is not None
            slope = whole(inputs.grad / 3, (count,)) if split else inputs.grad
            found |= {f"out{place}": outputs.detach(), f"slope{place}": slope}
        gradients = averaged([p.grad for p in own.parameters()])
        found |= {f"weight{k}": g for k, g in enumerate(gradients) if g is not None}
        return {**found, **own.state_dict()}

    expected = ends(False)
    for process in in_processes(3, lambda: ends(True)):
        assert process.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.allclose(process[name].double(), value.double(), atol=1e-9), name


def test_a_layer_stays_what_it_is() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4)).eval()
    images = torch.randn(2, 3, 8, 8)
    before, state = model(images), model.state_dict()
    (layer,) = share_statistics(model)
    assert share_statistics(copy.deepcopy(model))[0] is not layer
    assert isinstance(model[1], nn.BatchNorm2d)
    assert isinstance(model[1], SharedStatistics)
    assert torch.equal(model(images), before)  # an evaluation asks no other process
    assert model.state_dict().keys() == state.keys()
