"""Keys of older configs: what they are called now."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.older_names import rename_cache


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ({"cache": True}, {"cache": "ram"}),
        ({"cache": "disk"}, {"cache": "disk"}),
        ({"cache": False}, {"cache": False}),
        ({"datasets": "eva_ava_koniq"}, {"datasets": "eva_ava_koniq"}),
        (
            {"datasets": [{"type": "EVA", "cache": True}, {"type": "AVA", "cache": False}]},
            {"datasets": [{"type": "EVA"}, {"type": "AVA"}], "cache": "ram"},
        ),
        (
            {"datasets": [{"type": "EVA", "cache": False}]},
            {"datasets": [{"type": "EVA"}], "cache": False},
        ),
        (
            {"cache": "disk", "evaluate_only": [{"type": "EVA", "cache": True}]},
            {"cache": "disk", "evaluate_only": [{"type": "EVA"}]},
        ),
        ({"datasets": [{"type": "EVA", "cache": "on"}]},) * 2,
    ],
)
def test_the_cache_of_data_sets_is_the_scenarios(
    scenario: dict[str, Any], expected: dict[str, Any]
) -> None:
    config = {"scenario": scenario}
    rename_cache(config)
    assert config["scenario"] == expected


def test_a_config_without_a_scenario_is_left_alone() -> None:
    config: dict[str, Any] = {"scenario": "CLEAR"}
    rename_cache(config)
    assert config == {"scenario": "CLEAR"}
