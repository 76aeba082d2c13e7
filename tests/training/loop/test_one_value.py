"""Batch normalisation over one value: what is said, while training too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.loop.one_value import is_one_value, one_value_error
from cliqa.utils.errors import ConfigError


def test_torchs_error_is_known() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value") as error:
        nn.BatchNorm2d(3)(torch.zeros(1, 3, 1, 1))
    assert is_one_value(error.value)
    assert not is_one_value(ValueError("something else"))
    assert not is_one_value(RuntimeError(str(error.value)))


@pytest.mark.parametrize(
    ("samples", "batch_size", "message"),
    [
        (1, 8, r"^a: one sample to train on, .*Add samples to the training split\.$"),
        (9, 1, r"^cl_strategy\.train_mb_size=1: .*Set cl_strategy\.train_mb_size=2 or more"),
        (9, 8, r"^a: a batch of one sample.*two samples or more\.$"),
    ],
)
def test_the_key_to_change_is_named(samples: int, batch_size: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        raise one_value_error("a", samples, batch_size)


def test_training_says_it_too(
    tiny_stream: QualityStream, make_strategy: Callable[..., Any]
) -> None:
    strategy = make_strategy(epochs=1)
    strategy.model.body.insert(5, nn.BatchNorm1d(8))  # after the pooling
    strategy.train_mb_size = 1
    with pytest.raises(ConfigError, match=r"Set cl_strategy\.train_mb_size=2 or more"):
        strategy.train_step(0, [tiny_stream.train_stream[0]])


def test_other_mistakes_stay_what_they_are(
    tiny_stream: QualityStream, make_strategy: Callable[..., Any]
) -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise ValueError("odd")

    strategy = make_strategy(epochs=1)
    strategy.model.body = Odd()
    with pytest.raises(ValueError, match="^odd$"):
        strategy.train_step(0, [tiny_stream.train_stream[0]])
