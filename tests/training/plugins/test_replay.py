"""Replay: who is remembered, how batches are mixed, and the memory's state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.replay import Replay
from cliqa.utils.errors import ConfigError


def shares(replay: Replay) -> list[int]:
    counts = Counter(replay.state_dict()["experience"].tolist())
    return [counts[k] for k in sorted(counts)]


def test_balanced_memory_has_equal_shares_after_every_experience() -> None:
    replay = Replay(100)
    for experience, expected in enumerate([[100], [50, 50], [34, 33, 33], [25, 25, 25, 25]]):
        replay.add(experience, 500, seed=0)
        assert shares(replay) == expected


def test_what_a_small_experience_cannot_fill_goes_to_the_others() -> None:
    replay = Replay(100)
    replay.add(0, 10, seed=0)
    replay.add(1, 500, seed=0)
    assert shares(replay) == [10, 90]


def test_a_memory_larger_than_the_data_holds_each_sample_once() -> None:
    replay = Replay(100)
    replay.add(0, 30, seed=0)
    replay.add(1, 20, seed=0)
    state = replay.state_dict()
    pairs = set(zip(state["experience"].tolist(), state["index"].tolist(), strict=True))
    assert pairs == {(0, i) for i in range(30)} | {(1, i) for i in range(20)}


@pytest.mark.parametrize("policy", ["reservoir", "experience_balanced"])
def test_every_sample_is_equally_likely_to_be_remembered(policy: str) -> None:
    hits: Counter[int] = Counter()
    for seed in range(400):
        replay = Replay(20, policy)
        for experience in range(2):
            replay.add(experience, 50, seed)
        state = replay.state_dict()
        hits.update((state["experience"] * 50 + state["index"]).tolist())
    observed = [hits[i] for i in range(100)]
    assert sum(observed) == 400 * 20
    # draws without replacement vary less than the test assumes: a small p is a real bias
    assert stats.chisquare(observed).pvalue > 0.01


def test_reservoir_shares_follow_the_sizes() -> None:
    replay = Replay(1000, "reservoir")
    replay.add(0, 1000, seed=0)
    replay.add(1, 9000, seed=0)
    assert shares(replay)[0] == pytest.approx(100, abs=30)


def test_batches_hold_as_many_remembered_samples_as_new_ones(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    replay = Replay(12, batch_size_mem=4)
    strategy = make_strategy([replay], epochs=1)
    sizes: list[int] = []
    forward = strategy.model.forward

    def watch(images: torch.Tensor) -> torch.Tensor:
        sizes.append(len(images))
        return forward(images)

    strategy.model.forward = watch
    for index in range(2):
        strategy.train_step(index, [tiny_stream.train_stream[index]])
    assert sizes == [8] * 4 + [12] * 4


def test_memory_reads_the_remembered_images(tiny_stream: QualityStream) -> None:
    replay = Replay(8)
    replay.add(0, 32, seed=0)
    replay.add(1, 32, seed=0)
    state = replay.state_dict()
    memory = replay.memory(tiny_stream.train_stream).eval()
    expected = [
        tiny_stream.train_stream[int(k)].dataset.eval()[int(i)][0]
        for k, i in sorted(zip(state["experience"], state["index"], strict=True))
    ]
    found = sorted(memory[i][0].sum().item() for i in range(len(memory)))
    assert found == sorted(image.sum().item() for image in expected)


def test_state_round_trip() -> None:
    replay, other = Replay(20), Replay(20)
    replay.add(0, 100, seed=0)
    other.load_state_dict(replay.state_dict())
    for each in (replay, other):
        each.add(1, 100, seed=0)
    first, second = replay.state_dict(), other.state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mem_size": 0}, "mem_size must be a positive integer, got 0"),
        ({"mem_size": 1.5}, "mem_size must be a positive integer, got 1.5"),
        ({"batch_size_mem": -1}, "batch_size_mem must be a positive integer"),
        ({"policy": "class_balanced"}, "policy must be 'experience_balanced' or 'reservoir'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Replay(**arguments)
