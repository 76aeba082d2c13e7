"""Fine-tuning: one experience after the other, without any memory of the earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.registry import STRATEGIES
from cliqa.training.supervised.naive import Naive


def test_it_is_registered() -> None:
    assert STRATEGIES.get("Naive") is Naive


def test_every_step_trains_on_its_own_data_alone(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(cls=Naive, epochs=1)
    steps = strategy.steps(tiny_stream.train_stream)
    assert [[e.name for e in step] for step in steps] == [["a"], ["b"], ["c"]]
    seen: list[torch.Tensor] = []
    after = strategy._after_training_iteration

    def watch(**kwargs: Any) -> None:
        seen.append(strategy.mb_y)
        after(**kwargs)

    strategy._after_training_iteration = watch
    for index, name in enumerate("ab"):
        seen.clear()
        strategy.train_step(index, steps[index])
        expected = np.sort(tiny_stream.sources[name, "train"].scores)
        assert np.array_equal(np.sort(torch.cat(seen).numpy()), expected)
