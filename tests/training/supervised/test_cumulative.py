"""Cumulative training: every experience together with all earlier ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.registry import STRATEGIES
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.training.supervised.naive import Naive


def test_it_is_registered() -> None:
    assert STRATEGIES.get("Cumulative") is Cumulative


@pytest.mark.parametrize(("index", "names"), [(0, "a"), (1, "ab"), (2, "abc")])
def test_a_step_trains_on_all_data_up_to_it(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream, index: int, names: str
) -> None:
    strategy = make_strategy(cls=Cumulative, epochs=1)
    seen: list[torch.Tensor] = []
    after = strategy._after_training_iteration

    def watch(**kwargs: Any) -> None:
        assert strategy.mb_x.shape[2:] == (12, 12)  # the crop of training, for all of them
        seen.append(strategy.mb_y)
        after(**kwargs)

    strategy._after_training_iteration = watch
    # no step before it: nothing but the stream is needed, also after a resume
    strategy.train_step(index, [tiny_stream.train_stream[index]])
    expected = np.concatenate([tiny_stream.sources[name, "train"].scores for name in names])
    assert np.array_equal(np.sort(torch.cat(seen).numpy()), np.sort(expected))


def test_the_first_step_is_naives(
    make_strategy: Callable[..., Any],
    tiny_stream: QualityStream,
    assert_same: Callable[[Any, Any], None],
) -> None:
    both = [make_strategy(cls=cls, epochs=1) for cls in (Cumulative, Naive)]
    for strategy in both:
        strategy.train_step(0, [tiny_stream.train_stream[0]])
    assert_same(both[0].model.state_dict(), both[1].model.state_dict())
