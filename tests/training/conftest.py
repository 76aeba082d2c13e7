"""Training over a stream, and what a strategy says then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
