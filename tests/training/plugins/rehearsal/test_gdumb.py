"""GDumb: what is in the memory, and that the model learns from it alone, from its start."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.rehearsal.gdumb import GDumb
from cliqa.training.supervised.cumulative import Cumulative
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]


def test_each_experience_begins_anew_and_sees_the_memory_alone(
    make_strategy: Make, tiny_stream: QualityStream, assert_same: Make
) -> None:
    strategy = make_strategy([GDumb(12)], epochs=2)
    first = copy.deepcopy(strategy.model.state_dict())
    seen: list[float] = []
    steps: list[int] = []
    epoch, step = strategy.training_epoch, strategy.optimizer_step

    def begin(**kwargs: Any) -> None:
        if strategy.epochs_done == 0:
            assert_same(strategy.model.state_dict(), first)
            assert not strategy.optimizer.state
        epoch(**kwargs)

    def note() -> None:
        seen.extend(strategy.mb_y.tolist())
        steps.append(len(strategy.mb_y))
        step()

    strategy.training_epoch, strategy.optimizer_step = begin, note
    for index in range(2):
        seen.clear()
        strategy.train_step(index, [tiny_stream.train_stream[index]])
        memory = strategy.plugins[0].memory(tiny_stream.train_stream)
        assert Counter(seen).keys() == {float(memory[i][1]) for i in range(len(memory))}
        assert strategy.plugins[0]._experience.bincount().tolist() == [[12], [6, 6]][index]
    assert steps == [8] * 16  # as many as over the 32 samples of an experience


def test_scores_are_spread_and_classes_are_balanced(over_classes: Make, teach: Make) -> None:
    parts = over_classes(type="GDumb", mem_size=12, train_epochs=1)
    teach(parts, 3)
    memory = parts.strategy.plugins[0]
    assert memory.policy == "class_balanced"
    assert memory._class.bincount().tolist().count(2) == 6


def test_the_memory_of_scores_fills_the_range(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy([GDumb(8)], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    scores = torch.tensor(tiny_stream.sources["a", "train"].scores)
    ranks = scores.argsort().argsort()[strategy.plugins[0]._index]
    assert sorted((ranks * 8 // len(scores)).tolist()) == list(range(8))


def test_training_on_several_experiences_at_once_is_refused(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy([GDumb(8)], cls=Cumulative, epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    with pytest.raises(ConfigError, match="GDumb: Cumulative trains on several experiences at on"):
        strategy.train_step(1, [tiny_stream.train_stream[1]])


def test_a_model_that_has_grown_cannot_begin_again(
    make_strategy: Make, tiny_stream: QualityStream
) -> None:
    strategy = make_strategy([GDumb(8)], epochs=1)
    strategy.train_step(0, [tiny_stream.train_stream[0]])
    strategy.model.head = torch.nn.Linear(8, 2)
    with pytest.raises(ModelError, match=r"'head\.weight' of the model has changed its shape"):
        strategy.train_step(1, [tiny_stream.train_stream[1]])


def test_selections_that_ask_the_model_are_refused() -> None:
    with pytest.raises(ConfigError, match="selection must be one of None, 'random', 'score_bal"):
        GDumb(selection="herding")
