"""What all memories share: selections in a stream, resumes, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.training.own_loop.framework import ContinualLearningFramework
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.plugins.rehearsal.selection import SELECTIONS
from cliqa.utils.errors import ConfigError

Make = Callable[..., Any]

SCORES: dict[str, dict[str, Any]] = {
    "Replay, coverage": {"type": "Replay", "selection": "coverage"},
    "Replay, uncertainty": {"type": "Replay", "selection": "uncertainty", "policy": "reservoir"},
    "DER, rainbow": {"type": "DER", "policy": "experience_balanced", "selection": "rainbow"},
    "AGEM": {"type": "AGEM", "batch_size_mem": 6},
    "MIR": {"type": "MIR", "candidates": 10},
    "GDumb": {"type": "GDumb"},
    "FeatureReplay": {"type": "FeatureReplay", "layer": "backbone.blocks.0"},
}
CLASSES: dict[str, dict[str, Any]] = {
    "Replay, herding": {"type": "Replay", "policy": "class_balanced", "selection": "herding"},
    "DER, loss": {"type": "DER", "policy": "class_balanced", "selection": "loss"},
    "MIR": {"type": "MIR", "candidates": 10},
    "ER_ACE": {"type": "ER_ACE"},
    "GDumb": {"type": "GDumb"},
    "ICaRL": {"type": "ICaRL"},
    "FeatureReplay": {"type": "FeatureReplay", "layer": "backbone", "selection": "herding"},
}


@pytest.mark.parametrize("case", SCORES)
def test_a_stopped_run_over_scores_ends_in_the_same_bits(
    case: str, over_scores: Make, assert_resumes: Make
) -> None:
    assert_resumes(lambda: over_scores(mem_size=10, **SCORES[case]))


@pytest.mark.parametrize("case", CLASSES)
def test_a_stopped_run_over_classes_ends_in_the_same_bits(
    case: str, over_classes: Make, assert_resumes: Make
) -> None:
    assert_resumes(lambda: over_classes(mem_size=10, **CLASSES[case]))


@pytest.mark.parametrize("selection", [name for name in SELECTIONS if name != "random"])
def test_what_stays_of_an_experience_is_the_first_of_its_order(
    selection: str, over_scores: Make, teach: Make
) -> None:
    parts = over_scores(type="Replay", mem_size=10, selection=selection, train_epochs=1)
    memory = parts.strategy.plugins[0]
    teach(parts, 1)
    first = memory.state_dict()
    order = first["index"][first["key"].argsort()].tolist()
    assert len(set(order)) == 10
    teach(parts, 2, first=1)
    second = memory.state_dict()
    kept = second["index"][second["experience"] == 0].tolist()
    assert set(kept) == set(order[:5])
    assert (second["experience"] == 1).sum() == 5
    others = over_scores(type="Replay", mem_size=10, train_epochs=1)
    teach(others, 1)
    assert others.strategy.plugins[0].state_dict()["index"].tolist() != first["index"].tolist()


def test_a_memory_larger_than_the_data_holds_each_sample_once() -> None:
    memory = Replay(100, selection="coverage")
    for experience, count in enumerate((12, 7)):
        memory.add(experience, count, 0, values=torch.rand(count, 3))
    pairs = set(zip(memory._experience.tolist(), memory._index.tolist(), strict=True))
    assert len(memory) == len(pairs) == 19


def test_a_reservoir_shares_by_the_sizes_of_the_sets() -> None:
    memory = Replay(40, "reservoir", selection="score_balanced")
    memory.add(0, 100, 0, values=torch.rand(100))
    memory.add(1, 300, 0, values=torch.rand(300))
    assert (memory._experience == 0).sum() == pytest.approx(10, abs=1)


def test_scores_in_a_balanced_memory_fill_the_range() -> None:
    scores = torch.rand(500, generator=torch.Generator().manual_seed(0)) ** 3
    memory = Replay(16, selection="score_balanced")
    memory.add(0, 500, 0, values=scores)
    ranks = scores.argsort().argsort()[memory._index]
    assert sorted((ranks * 16 // 500).tolist()) == list(range(16))


def test_without_a_selection_the_draw_is_as_it_was() -> None:
    memory = Replay(5)
    memory.add(0, 50, seed=3)
    memory.add(1, 50, seed=3)
    assert memory._experience.tolist() == [0, 0, 0, 1, 1]
    assert memory._index.tolist() == [3, 34, 45, 23, 38]  # recorded before there were others


def test_balancing_scores_of_classes_is_refused(over_classes: Make, teach: Make) -> None:
    parts = over_classes(type="Replay", selection="score_balanced")
    with pytest.raises(ConfigError, match=r"'score_balanced' needs scores, and this stream has cl"):
        teach(parts, 1)


def test_an_unknown_selection_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"selection must be one of 'random', .*you mean 'her"):
        Replay(selection="hering")


def test_a_loop_of_ones_own_has_no_whole_data_sets() -> None:
    with pytest.raises(ConfigError, match=r"selection='loss' looks at whole data sets"):
        ContinualLearningFramework(torch.nn.Linear(2, 1), "replay", selection="loss")
