"""What a step has trained on, once more: for methods that measure the weights' importances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from cliqa.training.loop.batching import RaggedImages
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator


def check_count(who: str, n_samples: int) -> None:
    """Refuse a number of samples that is none.

    Raises:
        ConfigError: It is no integer >= 0.
    """
    if not isinstance(n_samples, int) or n_samples < 0:
        raise ConfigError(
            f"{who}: n_samples must be an integer >= 0 (0 for all samples), got {n_samples!r}."
        )


def samples_of(
    strategy: Any,  # noqa: ANN401
    count: int = 0,
) -> Iterator[tuple[Tensor | RaggedImages, Tensor]]:
    """Yield batches of what the step has trained on, transformed as in evaluation.

    Args:
        strategy: The strategy, right after training.
        count: So many samples, drawn by the run's seed; 0 for all.

    Yields:
        Inputs (B, ...) and targets (B,) on the strategy's device.
    """
    data = strategy.adapted_dataset.eval()
    if 0 < count < len(data):
        random = generator(strategy.options.seed, "importance", strategy.step_index)
        drawn = torch.randperm(len(data), generator=random)[:count]
        data = data.subset(drawn.sort().values.tolist())
    # batches that training has had room for
    for batch in strategy.loader(data, train=False, batch_size=strategy.train_mb_size):
        yield batch[0].to(strategy.device), batch[1].to(strategy.device)
