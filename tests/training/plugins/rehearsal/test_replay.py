"""Replay: who is remembered, how batches are mixed, and the memory's state."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.engine.build import build
from cliqa.training.plugins.rehearsal.replay import Replay
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


def test_each_experience_has_a_draw_of_its_own() -> None:
    replay = Replay(20)
    for experience in range(2):
        replay.add(experience, 500, seed=0)
    state = replay.state_dict()
    first, second = (set(state["index"][state["experience"] == k].tolist()) for k in range(2))
    assert len(first) == len(second) == 10
    assert len(first & second) < 5


def class_counts(replay: Replay) -> list[int]:
    counts = Counter(replay.state_dict()["class"].tolist())
    return [counts[k] for k in sorted(counts)]


def classes_of(*counts: int) -> torch.Tensor:
    """Return so many targets of class 0, 1, ..."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def test_every_class_has_its_share_over_all_experiences() -> None:
    replay = Replay(100, "class_balanced")
    replay.add(0, 700, 0, classes_of(300, 400))
    assert class_counts(replay) == [50, 50]
    replay.add(1, 450, 0, 2 + classes_of(50, 400))
    assert class_counts(replay) == [25, 25, 25, 25]
    replay.add(2, 200, 0, classes_of(0, 0, 0, 0, 60, 60, 80))
    assert max(class_counts(replay)) - min(class_counts(replay)) == 1
    assert len(replay) == 100


def test_classes_that_come_again_are_drawn_from_all_their_samples() -> None:
    replay = Replay(2000, "class_balanced")
    replay.add(0, 4000, 0, classes_of(1000, 3000))
    replay.add(1, 6000, 0, classes_of(3000, 3000))
    assert class_counts(replay) == [1000, 1000]
    state = replay.state_dict()
    first = state["experience"] == 0
    assert int((first & (state["class"] == 0)).sum()) == pytest.approx(250, abs=45)
    assert int((first & (state["class"] == 1)).sum()) == pytest.approx(500, abs=50)


def test_what_a_small_class_cannot_fill_goes_to_the_others() -> None:
    replay = Replay(90, "class_balanced")
    replay.add(0, 1010, 0, classes_of(10, 500, 500))
    assert class_counts(replay) == [10, 40, 40]


def test_samples_of_a_class_are_equally_likely_to_be_remembered() -> None:
    hits: Counter[int] = Counter()
    for seed in range(600):
        replay = Replay(20, "class_balanced")
        for experience in range(2):
            replay.add(experience, 50, seed, classes_of(30, 20))
        state = replay.state_dict()
        hits.update((state["experience"] * 50 + state["index"]).tolist())
    for start, stop in ((0, 30), (30, 50)):
        observed = [hits[i + k] for k in (0, 50) for i in range(start, stop)]
        assert sum(observed) == 600 * 10
        assert stats.chisquare(observed).pvalue > 0.01


@pytest.mark.parametrize("name", ["split_config", "features_config"])
def test_classes_are_balanced_in_a_stream(name: str, request: pytest.FixtureRequest) -> None:
    config = request.getfixturevalue(name)
    config["cl_strategy"] |= {"policy": "class_balanced", "mem_size": 18, "train_epochs": 1}
    parts = build(config, torch.device("cpu"))
    replay = next(p for p in parts.strategy.plugins if isinstance(p, Replay))
    stream = parts.benchmark.train_stream
    for index, step in enumerate(parts.strategy.steps(stream)[:2]):
        parts.strategy.train_step(index, step)
        memory = replay.memory(stream)
        found = Counter(int(memory[i][1]) for i in range(len(memory)))
        assert set(found) == set(stream[index].classes_seen_so_far)
        assert len(memory) == 18
        assert max(found.values()) - min(found.values()) <= 1
        assert sorted(found.values()) == sorted(class_counts(replay))


def test_balancing_classes_resumes_to_the_bit(
    split_config: dict[str, Any],
    run_config: Callable[..., Any],
    assert_same: Callable[[Any, Any], None],
) -> None:
    split_config["cl_strategy"] |= {"policy": "class_balanced", "mem_size": 11}
    split_config["scenario"]["n_experiences"] = 2
    split_config["checkpoint_config"] = {"interval": 1}
    whole = run_config(split_config, "whole")
    final = torch.load(whole / "checkpoints" / "last.pth", weights_only=True)
    for place in sorted((whole / "checkpoints").glob("exp_*.pth"))[1:3]:
        folder = run_config(copy.deepcopy(split_config), place.stem, resume=str(place))
        state = torch.load(folder / "checkpoints" / "last.pth", weights_only=True)
        assert_same(state["strategy"], final["strategy"])


def test_scores_have_no_classes_to_balance(
    make_strategy: Callable[..., Any], tiny_stream: QualityStream
) -> None:
    strategy = make_strategy(
        [Replay(8, "class_balanced")], on_epoch=lambda _: pytest.fail("it trained")
    )
    with pytest.raises(
        ConfigError, match=r"policy='class_balanced'.* this stream has scores\. Use"
    ):
        strategy.train_step(0, [tiny_stream.train_stream[0]])


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
        ({"mem_size": 0}, "mem_size must be an integer >= 1, got 0"),
        ({"mem_size": 1.5}, "mem_size must be an integer >= 1, got 1.5"),
        ({"batch_size_mem": -1}, "batch_size_mem must be an integer >= 1"),
        ({"policy": "balanced"}, "policy must be 'experience_balanced', 'class_balanced' or"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Replay(**arguments)
