"""Accumulated steps: those of larger batches, for plugins too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from avalanche.training.plugins import AGEMPlugin
from avalanche.training.supervised import Naive
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop.template import with_stream_template
from cliqa.training.plugins.base import ContinualPlugin
from cliqa.training.plugins.isolation.packnet import PackNet
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.plugins.regularization.l2 import L2
from cliqa.training.plugins.regularization.si import SI
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]


def without_chance(stream: QualityStream, count: int) -> QualityStream:
    """Return `count` training images of two data sets, whose transforms draw nothing at random.

    Batches of other sizes would draw in another order.
    """
    tensor = build_pipeline([{"type": "ToTensor"}], "x")
    data = [stream.sources[name, "train"].subset("all") for name in "ab"]
    for each in data:
        each.splits = tuple("train" if k < count else "test" for k in range(len(each)))
    return QualityStream(data, tensor, tensor)


@pytest.fixture
def plain_stream(tiny_stream: QualityStream) -> QualityStream:
    """Return 28 training images: of batches of 4 or 6 the last ones make an incomplete step."""
    return without_chance(tiny_stream, 28)


def trained(
    make: Make,
    stream: QualityStream,
    size: int,
    accumulate: int,
    plugins: Sequence[Any] = (),
    **options: Any,
) -> Any:
    """Train two experiences with plain gradient descent and a model that batches do not change."""
    strategy = make(list(plugins), accumulate=accumulate, **options)
    strategy.model.body[1] = nn.Identity()
    strategy.model.body[5].p = 0.0
    strategy.optimizer = torch.optim.SGD(strategy.model.parameters(), lr=0.05, momentum=0.9)
    strategy.train_mb_size = size
    for index, experience in enumerate(stream.train_stream):
        strategy.train_step(index, [experience])
    return strategy


PLUGINS: dict[str, Callable[[], list[Any]]] = {
    "none": list,
    "l2": lambda: [L2(0.1)],
    "ewc": lambda: [EWC(1.0)],
    "si": lambda: [SI(1.0)],
    "packnet": lambda: [PackNet(0.5)],
}


@pytest.mark.parametrize("name", PLUGINS)
@pytest.mark.parametrize("size", [4, 6])
def test_two_batches_step_as_one_of_twice_the_size(
    name: str, size: int, make_strategy: Make, plain_stream: QualityStream
) -> None:
    whole = trained(make_strategy, plain_stream, 2 * size, 1, PLUGINS[name](), clip_grad_norm=0.5)
    parts = trained(make_strategy, plain_stream, size, 2, PLUGINS[name](), clip_grad_norm=0.5)
    for first, second in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(first, second, rtol=0, atol=1e-6)
    if name == "si":
        for key, value in whole.plugins[0].importance.items():
            assert torch.allclose(value, parts.plugins[0].importance[key], rtol=1e-3, atol=1e-6)


def test_a_replayed_batch_is_a_part_of_the_step(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    stream = without_chance(tiny_stream, 24)
    whole = trained(make_strategy, stream, 8, 1, [Replay(12)])
    parts = trained(make_strategy, stream, 4, 2, [Replay(12)])
    for first, second in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.allclose(first, second, rtol=0, atol=1e-6)


class Counter(ContinualPlugin):
    """Counts the hooks that are called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[str, int] = {}

    def _count(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1

    def before_forward(self, strategy: Any, **_: Any) -> None:
        self._count("forward")

    def after_backward(self, strategy: Any, **_: Any) -> None:
        self._count("backward")

    def before_update(self, strategy: Any, **_: Any) -> None:
        self._count("before")

    def after_update(self, strategy: Any, **_: Any) -> None:
        self._count("after")

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def test_hooks_of_a_step_are_called_once_a_step(
    make_strategy: Make, plain_stream: QualityStream
) -> None:
    counter = Counter()
    trained(make_strategy, plain_stream, 4, 3, [counter])  # 7 batches, 3 steps; 2 epochs of 2
    assert counter.calls == {"forward": 28, "backward": 12, "before": 12, "after": 12}


def test_a_schedule_by_iteration_counts_steps(
    make_strategy: Make, plain_stream: QualityStream
) -> None:
    schedule = {"type": "CosineLR", "end_ratio": 0.5, "by": "iteration"}
    strategy = trained(make_strategy, plain_stream, 4, 3, schedule=schedule)
    assert strategy.schedule._scheduler.T_max == 2 * 3
    assert strategy.optimizer.param_groups[0]["lr"] == pytest.approx(0.025)


def test_a_memory_sees_the_samples_of_every_batch(
    make_strategy: Make, plain_stream: QualityStream
) -> None:
    memory = DER(10)
    trained(make_strategy, plain_stream, 4, 3, [memory])
    assert memory.state_dict()["seen"] == 2 * 2 * 28


def test_the_loss_of_an_epoch_is_that_of_its_batches(
    make_strategy: Make, plain_stream: QualityStream
) -> None:
    losses: dict[int, list[float]] = {1: [], 4: []}
    for accumulate, found in losses.items():
        strategy = make_strategy(epochs=1, accumulate=accumulate, on_epoch=found.append)
        strategy.model.body[1], strategy.model.body[5].p = nn.Identity(), 0.0
        strategy.optimizer = torch.optim.SGD(strategy.model.parameters(), lr=0.0)
        strategy.train_step(0, [plain_stream.train_stream[0]])
    assert losses[1] == pytest.approx(losses[4])


def test_methods_that_count_batches_as_steps_are_refused(make_strategy: Make) -> None:
    with pytest.raises(ConfigError, match=r"accumulate=2: AGEMPlugin treats every batch as an"):
        make_strategy([AGEMPlugin(4, 4)], accumulate=2)
    loop = type("Other", (with_stream_template(Naive),), {"training_epoch": lambda _: None})
    with pytest.raises(ConfigError, match=r"accumulate=2: Other treats every batch as an"):
        make_strategy(cls=loop, accumulate=2)
