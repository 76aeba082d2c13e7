"""What a config asks for beyond an earlier one."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.values import config_differences
from cliqa.engine.work_dir.config_growth import Growth, growth_of, with_listed_data_sets

BEFORE: dict[str, Any] = {
    "scenario": {
        "datasets": [{"type": "EVA", "root": "eva"}],
        "order": ["eva"],
        "buckets": [1, 2],
        "n_experiences": 2,
    },
    "cl_strategy": {"type": "Naive"},
}


def grown(section: str = "scenario", **changes: Any) -> Growth:
    after = {**BEFORE, section: {**BEFORE[section], **changes}}
    return growth_of(config_differences(BEFORE, after), BEFORE, after)


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        (
            {"datasets": [*BEFORE["scenario"]["datasets"], {"type": "AVA", "root": "x"}]},
            "datasets[1]",
        ),
        ({"order": ["eva", "ava"]}, "order[1]"),
        ({"buckets": [1, 2, 3]}, "buckets[2]"),
        ({"n_experiences": 3}, "n_experiences"),
    ],
)
def test_the_end_of_a_stream_may_grow(changes: dict[str, Any], keys: str) -> None:
    found = grown(**changes)
    assert found.stream == (f"scenario.{keys}",)
    assert found.possible
    assert not found.epochs


@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        ({"datasets": [{"type": "AVA", "root": "eva"}]}, ("scenario.datasets.0.type",)),
        ({"datasets": []}, ("scenario.datasets", "scenario.datasets[0]")),
        ({"buckets": [2, 1, 3]}, ("scenario.buckets.0", "scenario.buckets.1")),
        ({"n_experiences": 1}, ("scenario.n_experiences",)),
        ({"shared": "keep"}, ("scenario.shared",)),
    ],
)
def test_anything_else_may_not(changes: dict[str, Any], keys: tuple[str, ...]) -> None:
    found = grown(**changes)
    assert found.other == keys
    assert not found.possible


def test_epochs_may_become_more_alone() -> None:
    assert grown("cl_strategy", train_epochs=2) == Growth(epochs=True)
    assert grown("cl_strategy", train_epochs=0).other == ("cl_strategy.train_epochs",)
    assert not Growth().possible


def test_a_preset_is_the_list_that_it_stands_for() -> None:
    config = {"scenario": {"datasets": "eva-ava-koniq"}}
    listed = with_listed_data_sets(config)["scenario"]["datasets"]
    assert [one["type"] for one in listed] == ["EVA", "AVA", "KonIQ10k"]
    assert with_listed_data_sets(BEFORE) == BEFORE
