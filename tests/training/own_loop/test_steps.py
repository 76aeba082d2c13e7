"""Methods that use the optimizer's steps, in a loop that does not name its optimizer."""

from __future__ import annotations

import copy
import gc
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import optimizer as hooks

from cliqa.training.own_loop.framework import ContinualLearningFramework
from cliqa.utils.errors import ConfigError


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return torch.rand(8, 3, generator=random), torch.rand(8, generator=random)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))


def omega(framework: ContinualLearningFramework) -> torch.Tensor:
    found: torch.Tensor = framework.state_dict()["strategy"]["omega"]["0.weight"]
    return found


def count_hooks() -> int:
    return len(hooks._global_optimizer_pre_hooks) + len(hooks._global_optimizer_post_hooks)


def test_the_path_integral_is_that_of_the_steps() -> None:
    """SI's omega is the sum of -gradient * change of the weight, of this model's steps alone."""
    model, other = network(), network()
    framework = ContinualLearningFramework(model, "si")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    foreign = torch.optim.SGD(other.parameters(), lr=0.1)
    framework.before_task(0)
    expected = torch.zeros(1, 3)
    for step in range(4):
        optimizer.zero_grad()
        framework.compute_loss(batch(step)).backward()
        weight = model[0].weight  # type: ignore[index]
        before, slope = weight.detach().clone(), weight.grad.clone()
        optimizer.step()
        expected -= slope * (weight.detach() - before)
        other(batch(step)[0]).sum().backward()
        foreign.step()
    assert torch.allclose(omega(framework), expected)


def test_gradients_can_be_read_before_they_are_clipped() -> None:
    found = []
    for clip in (None, 1e-3):
        model = network()
        framework = ContinualLearningFramework(model, "si")
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        framework.before_task(0)
        framework.compute_loss(batch(0)).backward()
        framework.after_backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        slope = model[0].weight.grad.norm()  # type: ignore[index]
        optimizer.step()
        found.append(omega(framework) / slope)  # the step is the clipped gradient
    assert torch.allclose(found[0], found[1], rtol=1e-4)


def test_a_task_in_progress_goes_on_from_its_state() -> None:
    results = []
    for stops in (False, True):
        model = network()
        framework = ContinualLearningFramework(model, "si", strategy_params={"strength": 2.0})
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        framework.before_task(0)
        for step in range(4):
            if stops and step == 2:
                state = copy.deepcopy(framework.state_dict())
                framework = ContinualLearningFramework(model, "si", strength=2.0)
                framework.load_state_dict(state)
            optimizer.zero_grad()
            framework.compute_loss(batch(step)).backward()
            optimizer.step()
        framework.after_task(0)
        results.append(framework.state_dict()["strategy"]["importance"]["0.weight"])
    assert torch.equal(*results)
    assert (results[0] > 0).any()


def test_nothing_is_watched_between_tasks_and_a_lost_framework_is_not_kept() -> None:
    before = count_hooks()
    model = network()
    framework = ContinualLearningFramework(model, "si")
    framework.before_task(0)
    assert count_hooks() == before + 2
    framework.after_task(0)
    assert count_hooks() == before
    framework.before_task(1)
    lost: Any = framework
    del framework, lost
    gc.collect()
    torch.optim.SGD(model.parameters(), lr=0.1).step()  # nobody is called any more


def test_reading_gradients_needs_a_task() -> None:
    with pytest.raises(ConfigError, match="after_backward: no task has begun"):
        ContinualLearningFramework(network(), "si").after_backward()
