"""The state of an optimizer whose model has grown since."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cliqa.training.loop.resuming import grown_state


def stepped(*groups: list[nn.Parameter]) -> torch.optim.Adam:
    """Return an optimizer over groups, after a step."""
    optimizer = torch.optim.Adam(
        [{"params": group, "lr": 0.1 * k} for k, group in enumerate(groups)]
    )
    for parameter in (p for group in groups for p in group):
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer


def test_new_parameters_follow_those_of_their_group_without_statistics() -> None:
    one, two, three = (nn.Parameter(torch.full((2,), float(k))) for k in range(3))
    first, second, new = [one], [two], [three]
    old = stepped(first, second)
    groups: list[dict[str, Any]] = [{"params": [one, three]}, {"params": [two], "lr": 5.0}]
    own = torch.optim.Adam(groups)
    own.load_state_dict(grown_state(old.state_dict(), own))
    assert own.param_groups[1]["lr"] == 0.1
    for parameter in (*first, *second):
        assert torch.equal(own.state[parameter]["exp_avg"], old.state[parameter]["exp_avg"])
    assert not own.state.get(new[0])


def test_a_state_of_the_same_parameters_stays_as_it_is() -> None:
    parameters = [nn.Parameter(torch.ones(2)) for _ in range(3)]
    state = stepped(parameters).state_dict()
    assert grown_state(state, torch.optim.Adam(parameters)) == state
