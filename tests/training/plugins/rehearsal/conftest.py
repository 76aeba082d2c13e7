"""Small runs over scores and over classes, for methods with a memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.engine.build import build

Config = dict[str, Any]


def with_method(config: Config, section: Config) -> Config:
    """Return a config with another method, of one or two epochs."""
    own = {k: v for k, v in config["cl_strategy"].items() if k not in ("type", "mem_size")}
    return {**config, "cl_strategy": {**own, "type": "Naive", **section}}


@pytest.fixture
def over_scores(tiny_config: Config) -> Callable[..., Any]:
    """Return a function that builds a method over `tiny_data`: the parts of a run."""
    tiny_config["model"] |= {
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [4, 8], "norm": "BN"},
        "head": {"type": "LinearScoreHead", "in_channels": 8},
    }

    def make(**section: Any) -> Any:
        return build(copy.deepcopy(with_method(tiny_config, section)), torch.device("cpu"))

    return make


@pytest.fixture
def over_classes(split_config: Config) -> Callable[..., Any]:
    """Return a function that builds a method over digits, two classes an experience."""

    def make(**section: Any) -> Any:
        return build(copy.deepcopy(with_method(split_config, section)), torch.device("cpu"))

    return make


@pytest.fixture
def teach() -> Callable[..., None]:
    """Return a function that trains parts of a run on some experiences of the stream."""

    def train(parts: Any, last: int = 2, first: int = 0) -> None:
        steps = parts.strategy.steps(parts.benchmark.train_stream)
        for index in range(first, last):
            parts.strategy.train_step(index, steps[index])

    return train


@pytest.fixture
def assert_resumes(
    teach: Callable[..., None], assert_same: Callable[[Any, Any], None]
) -> Callable[[Callable[[], Any]], None]:
    """Return a function that asserts that two experiences end in the same bits after a stop.

    The stops are after the first experience and in the middle of the second.
    """

    def check(make: Callable[[], Any]) -> None:
        whole, saved = make(), list[Any]()
        strategy = whole.strategy
        strategy.on_epoch = lambda _: saved.append(copy.deepcopy(strategy.state_dict()))
        teach(whole)
        assert len(saved) == 4
        for state in saved[1:3]:
            torch.manual_seed(99)  # a new process knows nothing of the old one's generator
            other = make()
            other.strategy.load_state_dict(copy.deepcopy(state))
            teach(other, first=state["step_index"])
            assert_same(other.strategy.state_dict(), strategy.state_dict())

    return check
