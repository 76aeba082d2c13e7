"""Training over a stream, what a strategy says then, and runs that are stopped anywhere."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

Learn = Callable[..., None]
Outputs = Callable[[Any, Any], dict[str, torch.Tensor]]


@pytest.fixture
def learn() -> Learn:
    """Return a function that trains a strategy on some of a stream's experiences."""

    def train(strategy: Any, stream: Any, first: int = 0, last: int = 3) -> None:
        for index in range(first, last):
            strategy.train_step(index, [stream.train_stream[index]])

    return train


@pytest.fixture
def outputs() -> Outputs:
    """Return a function that gives what an evaluation says about every data set."""

    def evaluate(strategy: Any, stream: Any) -> dict[str, torch.Tensor]:
        strategy.eval(stream.test_stream)
        found = strategy.evaluator.metrics[0].result()
        return {name: torch.as_tensor(prediction) for name, (prediction, _) in found.items()}

    return evaluate


@pytest.fixture
def outputs_after_each(
    learn: Learn, outputs: Outputs
) -> Callable[[Any, Any], list[dict[str, torch.Tensor]]]:
    """Return a function that trains a stream and gives what is said after each experience."""

    def train(strategy: Any, stream: Any) -> list[dict[str, torch.Tensor]]:
        said = []
        for index in range(3):
            learn(strategy, stream, index, index + 1)
            said.append(outputs(strategy, stream))
        return said

    return train


@pytest.fixture
def assert_resumable(outputs: Outputs, assert_same: Callable[..., None]) -> Callable[..., None]:
    """Return a function that asserts that a stopped run ends as one that was not stopped.

    A run is stopped before it begins, after every epoch, and after every experience: where there
    are checkpoints. It goes on in a new object, whose process knows nothing of the old one's random
    numbers, and must come to the same state and the same outputs to the bit.
    """

    def run(strategy: Any, stream: Any, first: int, note: Callable[[int], None]) -> Any:
        steps = strategy.steps(stream.train_stream)
        for index in range(first, len(steps)):
            strategy.train_step(index, steps[index])
            said = outputs(strategy, stream)
            note(index + 1)
        return said

    def check(make: Callable[[], Any], stream: Any, every: int = 1) -> None:
        whole, saved = make(), []

        def note(step: int) -> None:
            saved.append((step, copy.deepcopy(whole.state_dict())))

        note(0)
        whole.on_epoch = lambda _: note(whole.step_index)
        said = run(whole, stream, 0, note)
        final = saved.pop()[1]
        assert len(saved) >= whole.train_epochs
        for step, state in saved[::every]:
            torch.manual_seed(99)
            np.random.seed(99)
            resumed = make()
            resumed.load_state_dict(state)
            assert_same(run(resumed, stream, step, lambda _: None), said)
            assert_same(resumed.state_dict(), final)

    return check
