"""Samples of the step that was trained: which ones, and as evaluation sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.importance.trained_samples import check_count, samples_of
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize("count", [0, 5, 400])
def test_samples_are_the_experiences_in_evaluation(
    count: int, make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    strategy.adapted_dataset = tiny_stream.train_stream[0].dataset
    data = tiny_stream.dataset("a", "train").eval()
    images, scores = (torch.cat(parts) for parts in zip(*samples_of(strategy, count), strict=True))
    drawn = [i for i in range(len(data)) if float(data[i][1]) in scores.tolist()]
    assert len(scores) == len(drawn) == (5 if count == 5 else len(data))
    assert torch.equal(images, torch.stack([data[i][0] for i in drawn]))  # whole, not cropped
    torch.rand(3)
    again = torch.cat([targets for _, targets in samples_of(strategy, count)])
    assert torch.equal(again, scores)
    strategy.options = make_strategy(seed=2).options
    other = torch.cat([targets for _, targets in samples_of(strategy, count)])
    assert torch.equal(other, scores) is (count != 5)


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"X: n_samples must be an integer >= 0 .*got -1"):
        check_count("X", -1)
    check_count("X", 0)
