"""Joined passes: when batches may share one, and what the strategy sees of it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.rehearsal.joined_pass import JoinedPass, fit, mixes_samples


@pytest.mark.parametrize(
    ("make", "mixes"),
    [
        (lambda: nn.BatchNorm2d(4), True),
        (lambda: nn.BatchNorm1d(4, track_running_stats=False), True),
        (lambda: nn.BatchNorm2d(4).eval(), False),
        (lambda: nn.InstanceNorm2d(4), False),
        (lambda: nn.InstanceNorm2d(4, track_running_stats=True), True),
        (lambda: nn.GroupNorm(2, 4), False),
        (lambda: nn.LayerNorm(4), False),
    ],
)
def test_batch_normalisation_in_training_mixes_samples(
    make: Callable[[], nn.Module], mixes: bool
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), make())
    assert mixes_samples(model) is mixes


class Listener(ContinualPlugin):
    """Looks at the batch of a forward pass."""

    saved = ()

    def after_forward(self, strategy: Any, **_: object) -> None:
        """Look at it."""


class Memory(ContinualPlugin):
    """Has a pass of its own."""

    saved = ()


def strategy_over(model: nn.Module, plugins: list[Any]) -> Any:
    """Return a strategy with a batch of three samples."""

    def output_of(batch: list[Tensor]) -> Tensor:
        strategy.sizes.append(len(batch[0]))
        output: Tensor = model(batch[0])
        return output

    strategy = SimpleNamespace(model=model, plugins=plugins, device=torch.device("cpu"), sizes=[])
    strategy.mbatch = [torch.randn(3, 4), torch.zeros(3)]
    strategy.output_of = output_of
    return strategy


def passed(strategy: Any, joint: JoinedPass, batches: list[Any]) -> list[Tensor]:
    """Run the hooks of an iteration, and return the memory's outputs."""
    joint.start(strategy)
    joint.before(strategy, batches)
    strategy.sizes.append(len(strategy.mbatch[0]))
    strategy.mb_output = strategy.model(strategy.mbatch[0])
    joint.after(strategy)
    return joint.outputs(strategy)


@pytest.mark.parametrize(
    ("others", "size", "sizes"),
    [([], 4, [8]), ([Listener()], 4, [3, 5]), ([], None, [3, 2, 3])],
)
def test_outputs_are_those_of_separate_passes(
    others: list[Any], size: int | None, sizes: list[int]
) -> None:
    """With a plugin that looks at the batch, new samples stay alone; other shapes do, too."""
    owner = Memory()
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(2)) if size else nn.AdaptiveAvgPool1d(2)
    strategy = strategy_over(model, [owner, *others])
    batches = [
        [torch.randn(2, size or 5), torch.ones(2)],
        [torch.randn(3, size or 6), torch.ones(3)],
    ]
    own = strategy.mbatch
    found = passed(strategy, JoinedPass(owner), batches)
    assert strategy.sizes == sizes
    assert strategy.mbatch is own
    assert torch.allclose(strategy.mb_output, model(own[0]), atol=1e-6)
    for output, batch in zip(found, batches, strict=True):
        assert torch.allclose(output, model(batch[0]), atol=1e-6)


def test_without_memory_batches_nothing_happens() -> None:
    owner = Memory()
    strategy = strategy_over(nn.Linear(4, 1), [owner])
    assert passed(strategy, JoinedPass(owner), []) == []
    assert strategy.sizes == [3]


def test_batches_of_images_of_several_sizes_do_not_fit() -> None:
    assert not fit([[[torch.zeros(3, 4, 4)], torch.zeros(1)]])
