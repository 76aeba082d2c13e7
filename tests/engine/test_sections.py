"""Parts of a config's sections, as the engine needs them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from cliqa.engine.sections import (
    data_set_sections,
    is_class_metric,
    resamples,
    run_folder,
    split_strategy,
    strategy_component,
    template_arguments,
    with_command_line,
)
from cliqa.registry import PLUGINS, STRATEGIES
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.supervised.naive import Naive
from cliqa.utils.errors import ConfigError

SECTION = {
    "type": "Naive",
    "train_mb_size": 8,
    "train_epochs": 2,
    "eval_every": 1,
    "optimizer": {"type": "SGD", "lr": 0.1},
    "scheduler": None,
    "loss": {"type": "L1Loss"},
    "plugins": [],
    "clip_grad_norm": 1.0,
}


def test_folders_lie_below_the_root() -> None:
    listed = [{"type": "EVA", "root": "eva"}, {"type": "AVA", "root": "/data/ava"}, {"type": "X"}]
    scenario = {"dataset_root": "data", "datasets": listed}
    before = copy.deepcopy(scenario)
    assert data_set_sections(scenario) == [
        {"type": "EVA", "root": "data/eva"},
        {"type": "AVA", "root": "/data/ava"},
        {"type": "X"},
    ]
    assert scenario == before
    assert data_set_sections({"datasets": listed[:1]}) == [{"type": "EVA", "root": "eva"}]


def test_a_preset_is_a_list_of_data_sets() -> None:
    sections = data_set_sections({"dataset_root": "data", "datasets": "eva-ava-koniq"})
    assert [section["root"] for section in sections] == ["data/eva", "data/ava", "data/koniq"]
    with pytest.raises(ConfigError, match=r"no stream is called 'eva-ava'"):
        data_set_sections({"datasets": "eva-ava"})


def test_ours_come_before_avalanches_and_plugins_may_be_the_type() -> None:
    assert strategy_component({"type": "Naive"}) == (STRATEGIES, Naive)
    assert strategy_component({"type": "Replay"}) == (PLUGINS, Replay)
    registry, component = strategy_component({"type": "avalanche.Replay"})
    assert registry is STRATEGIES
    assert component.__module__.startswith("avalanche.")
    with pytest.raises(ConfigError, match=r"cl_strategy: unknown strategy 'Repley'"):
        strategy_component({"type": "Repley"})


def test_a_strategys_own_arguments_and_the_runs_options() -> None:
    before = copy.deepcopy(SECTION)
    own, options = split_strategy(SECTION)
    assert own == {"type": "Naive", "train_mb_size": 8, "train_epochs": 2, "eval_every": 1}
    assert options == {"clip_grad_norm": 1.0}
    assert before == SECTION


def test_a_plugin_takes_no_template_arguments() -> None:
    own, options = split_strategy({**SECTION, "type": "L2", "strength": 0.5})
    assert own == {"type": "L2", "strength": 0.5}
    assert options == {"clip_grad_norm": 1.0}
    expected = {"train_mb_size": 8, "train_epochs": 2, "eval_every": 1}
    assert template_arguments(SECTION) == expected


@pytest.mark.parametrize(
    ("name", "of_classes"),
    [
        ("accuracy_metrics", True),
        ("avalanche.bwt_metrics", True),
        ("labels_repartition_metrics", True),
        ("loss_metrics", False),
        ("quality_metrics", False),
        (None, False),
    ],
)
def test_metrics_of_classes(name: str | None, of_classes: bool) -> None:
    assert is_class_metric(name) is of_classes


@pytest.mark.parametrize(
    ("config", "given", "seed", "amp"),
    [
        ({}, {}, 0, False),
        ({"seed": None}, {}, 0, False),
        ({"seed": 3, "amp": True}, {}, 3, True),
        ({"seed": 3}, {"seed": 0, "amp": True}, 0, True),
        ({"seed": 3, "amp": "bfloat16"}, {"amp": True}, 3, "bfloat16"),
    ],
)
def test_the_command_line_wins(
    config: dict[str, Any], given: dict[str, Any], seed: int, amp: bool | str
) -> None:
    before = dict(config)
    found = with_command_line(config, **given)
    assert (found["seed"], found["amp"]) == (seed, amp)
    assert config == before


def test_the_folder_of_a_run() -> None:
    assert run_folder({}, "config/x.py").as_posix() == "work_dirs/x"
    assert run_folder({"work_dir": "w"}, "config/x.py").as_posix() == "w"
    assert run_folder({"work_dir": "w"}, "config/x.py", "v").as_posix() == "v"


def test_resamples() -> None:
    assert resamples({}) == resamples({"evaluation": None}) == 1000
    assert resamples({"evaluation": {"bootstrap": 0}}) == 0


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ({"datasets": 1}, r"scenario\.datasets: must be a list of dicts, got 1"),
        ({"datasets": None}, "must be a list of dicts, got None"),
        (
            {"datasets": [{"type": "A"}, "x"]},
            r"datasets\[1\]: must be a dict\(type=\.\.\.\), got 'x'",
        ),
        ({"datasets": [{"root": 0}]}, r"datasets\[0\]\.root: must be a folder, got 0"),
        ({"datasets": [], "dataset_root": [1]}, r"dataset_root: must be a folder, got \[1\]"),
        ({"datasets": [], "dataset_root": "x" * 10, "evaluate_only": 3}, "evaluate_only: must be"),
    ],
)
def test_data_sets_of_a_strangers_file_may_be_anything(scenario: Any, message: str) -> None:
    key = "evaluate_only" if "evaluate_only" in scenario else "datasets"
    with pytest.raises(ConfigError, match=message):
        data_set_sections(scenario, key)
