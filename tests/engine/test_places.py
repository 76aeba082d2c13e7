"""Tests of cliqa.engine.places."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import load_config
from cliqa.engine.places import Place, as_used, places
from cliqa.engine.sections import with_command_line

ROOT = Path(__file__).resolve().parents[2]
STREAMS = [
    path for path in sorted((ROOT / "config").glob("*.py")) if "cl_strategy" in load_config(path)
]


def test_paths_as_messages_have_them() -> None:
    assert Place(("cl_strategy", "plugins", 1), {}, dict).where == "cl_strategy.plugins[1]"


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: path.stem)
def test_the_projects_configs_are_used_as_they_are_written(path: Path) -> None:
    config = load_config(path)
    assert as_used(config, places(config)) == config


def test_words_become_truth_values_everywhere(tiny_config: dict[str, Any]) -> None:
    tiny_config["scenario"]["datasets"][0]["higher_is_better"] = "yes"
    tiny_config["scenario"]["train_transform"].insert(
        0,
        {
            "type": "RandomApply",
            "transforms": [{"type": "RandomRotation", "degrees": 3, "expand": "false"}],
        },
    )
    tiny_config["cl_strategy"]["reset_optimizer"] = "yes"
    tiny_config["cl_strategy"]["optimizer"]["amsgrad"] = 0
    tiny_config["metrics"] = [{"type": "loss_metrics", "epoch": "True"}]
    tiny_config["load_from"] = {"path": "a.pth", "strict": "no"}
    tiny_config["deploy"] = {"distil": "no"}
    before = copy.deepcopy(tiny_config)
    used = as_used(tiny_config, places(tiny_config))
    assert tiny_config == before
    assert used["scenario"]["datasets"][0]["higher_is_better"] is True
    rotation = used["scenario"]["train_transform"][0]["transforms"][0]
    assert rotation["expand"] is False
    assert used["cl_strategy"]["reset_optimizer"] is True
    assert used["cl_strategy"]["optimizer"]["amsgrad"] is False
    assert used["metrics"][0]["epoch"] is True
    assert used["load_from"]["strict"] is False
    assert used["deploy"]["distil"] is False
    assert used["model"] == tiny_config["model"]


def test_what_the_command_line_sets_stays(tiny_config: dict[str, Any]) -> None:
    config = with_command_line(tiny_config, seed=7)
    assert as_used(config, places(config))["seed"] == 7
