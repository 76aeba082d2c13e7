"""Joint training: one step over the union of all data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from avalanche.models import DynamicModule
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.registry import STRATEGIES
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.joint import JointTraining


class Growing(DynamicModule):
    """Notes the experiences that it is adapted to."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def adaptation(self, experience: Any) -> None:
        self.seen.append(experience.current_experience)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features


def test_it_is_registered() -> None:
    assert STRATEGIES.get("JointTraining") is JointTraining


def test_the_stream_is_one_step_over_all_data(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(cls=JointTraining, epochs=1)
    steps = strategy.steps(tiny_stream.train_stream)
    assert [[e.name for e in step] for step in steps] == [["a", "b", "c"]]
    seen: list[torch.Tensor] = []
    after = strategy._after_training_iteration

    def watch(**kwargs: Any) -> None:
        seen.append(strategy.mb_y)
        after(**kwargs)

    strategy._after_training_iteration = watch
    strategy.train_step(0, steps[0])
    expected = np.concatenate([tiny_stream.sources[name, "train"].scores for name in "abc"])
    assert np.array_equal(np.sort(torch.cat(seen).numpy()), np.sort(expected))


def test_over_one_data_set_it_is_cumulative(
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    assert_same: Callable[[Any, Any], None],
) -> None:
    both = [make_strategy(cls=cls, epochs=1) for cls in (JointTraining, Cumulative)]
    for strategy in both:
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert_same(both[0].model.state_dict(), both[1].model.state_dict())


def test_a_growing_model_sees_every_experience(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(cls=JointTraining, epochs=1)
    growing = Growing()
    strategy.model = nn.Sequential(strategy.model.body, growing, strategy.model.head, nn.Flatten(0))
    strategy.train_step(0, strategy.steps(tiny_stream.train_stream)[0])
    assert growing.seen == [0, 1, 2]


def test_all_validation_data_are_watched(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    def joint(**given: Any) -> Any:
        return JointTraining(**given, eval_every=1)

    strategy = make_strategy(cls=joint, epochs=1)
    val = list(tiny_stream.streams["val"])
    strategy.train_step(0, strategy.steps(tiny_stream.train_stream)[0], val)
    assert list(strategy.evaluator.metrics[0].result()) == ["a", "b", "c"]
