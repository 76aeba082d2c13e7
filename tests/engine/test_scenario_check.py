"""Tests of cliqa.engine.scenario_check; whole configs are in test_check.py."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.engine.scenario_check import check_scenario, kind_of
from cliqa.utils.errors import ConfigError


def test_every_mistake_is_told(tiny_config: dict[str, Any]) -> None:
    scenario = tiny_config["scenario"]
    check_scenario(scenario)
    assert kind_of(scenario) == "scores"
    scenario["datasets"][1]["rot"] = "b"
    scenario["eval_transform"] = [{"type": "ToTensr"}]
    scenario["sed"] = 1
    with pytest.raises(ConfigError) as caught:
        check_scenario(scenario)
    first, second, third = str(caught.value).splitlines()
    assert "scenario.datasets[1] 'ScoreFile': unexpected argument 'rot'" in first
    assert "ToTensr" in second
    assert "scenario 'QualityStream': unexpected argument 'sed'" in third


@pytest.mark.parametrize("scenario", [None, [], "QualityStream", {"type": 3}, {}])
def test_what_is_no_section_is_refused(scenario: Any) -> None:
    with pytest.raises(ConfigError, match="scenario"):
        check_scenario(scenario)
