"""Tests of cliqa.config.components."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cliqa import registry
from cliqa.config.components import quick_check
from cliqa.config.names import NameIndex
from cliqa.registry import ComponentRegistry, parameters_of
from cliqa.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
REGISTRIES = {k: v for k, v in vars(registry).items() if isinstance(v, ComponentRegistry)}
NAMES = NameIndex()


def config(**sections: Any) -> dict[str, Any]:
    """Return a small good config with some sections replaced."""
    good: dict[str, Any] = {
        "scenario": {"type": "QualityStream", "datasets": [{"type": "EVA", "root": "eva"}]},
        "model": {"backbone": {"type": "ResNet", "depth": 18}},
        "cl_strategy": {"type": "Naive", "optimizer": {"type": "SGD"}, "loss": {"type": "L1Loss"}},
    }
    return {**good, **sections}


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"scenario": {"dataset_type": "QualityStream"}},
        {"scenario": {"type": "QualityStream", "datasets": "a_preset"}},
        {"cl_strategy": {"type": "Replay", "mem_size": 3, "train_mb_size": 2, "plugins": None}},
        {"cl_strategy": {"type": "avalanche.EWC", "scheduler": None}},
        {"cl_strategy": {"type": "my_package.Strategy", "anything": 3}},
        {"model": {"type": "my_package.Model", "backbone": "resnet18"}},
        {"custom_imports": {"imports": ["mine"]}, "loggers": [{"type": "Mine"}]},
        {"metrics": [{"type": "loss_metrics", "epoch": True}], "loggers": None},
        {"train_pipeline": [{"type": "UnusedAndUnknown"}]},
    ],
)
def test_configs_that_pass(sections: dict[str, Any]) -> None:
    quick_check(config(**sections), NAMES)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"scenario": {}}, r"^scenario: no 'type'\. Name the scenario"),
        (
            {"scenario": {"dataset_type": "QualityStrem"}},
            "unknown scenario 'QualityStrem'. Did you",
        ),
        ({"model": {}}, r"^model: no 'type'\. Name the model"),
        ({"model": {"type": "Nothing_like_it"}}, r"unknown model 'Nothing_like_it'\. Known: "),
        (
            {"model": {"backbone": {"type": "ResNet"}, "head": {"type": "Hed"}}},
            r"^model\.head: unk",
        ),
        (
            {"loggers": ["TextLogger"]},
            r"^loggers\[0\]: expected dict\(type=...\) naming the logger, got",
        ),
        ({"loggers": [{"type": "TextLoger"}]}, r"loggers\[0\]: unknown .* mean 'TextLogger'"),
        ({"metrics": [{"type": "loss_metric"}]}, r"metrics\[0\]: .*Did you mean 'loss_metrics'"),
        ({"cl_strategy": {"type": "Naive", "optimizer": "SGD"}}, r"optimizer: expected dict\(type"),
        (
            {"cl_strategy": {"type": "Naive", "plugins": [{"type": "L2", "strenght": 1}]}},
            r"^cl_strategy\.plugins\[0\] 'L2': unexpected argument 'strenght'\. Did you mean 'st",
        ),
        (
            {"cl_strategy": {"type": "Replay", "mem_sise": 1}},
            r"^cl_strategy 'Replay': unexpected argument 'mem_sise'\. Did you mean 'mem_size'",
        ),
        (
            {"cl_strategy": {"type": "Replay", "optimiser": {}}},
            "unexpected argument 'optimiser'. Did you mean 'optimizer'",
        ),
    ],
)
def test_mistakes(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        quick_check(config(**sections), NAMES)


def test_all_mistakes_are_told_at_once() -> None:
    wrong = config(loggers=[{"type": "TextLoger"}], metrics=[{"type": "loss_metric"}])
    with pytest.raises(ConfigError) as caught:
        quick_check(wrong, NAMES)
    assert len(str(caught.value).splitlines()) == 2


def test_custom_imports_do_not_excuse_a_missing_type() -> None:
    with pytest.raises(ConfigError, match=r"loggers\[0\]: no 'type'"):
        quick_check(config(custom_imports={"imports": ["mine"]}, loggers=[{}]), NAMES)


def test_a_mistake_is_found_in_well_under_two_seconds() -> None:
    code = (
        "import sys; from cliqa.config.load import load_config\n"
        "from cliqa.config.components import quick_check\n"
        "try: quick_check(load_config('config/demo.py', ['cl_strategy.optimizer.type=SDG']))\n"
        "except Exception as error: print(error)\n"
        "heavy = {'torch', 'avalanche', 'torchvision', 'mmpretrain', 'cv2', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    start = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    seconds = time.perf_counter() - start
    assert "cl_strategy.optimizer: unknown optimizer 'SDG'. Did you mean 'SGD'?" in run.stdout
    assert run.stdout.splitlines()[-1] == "[]"
    assert seconds < 5  # about 0.7 s on an idle machine; test machines are not idle


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRIES)
def test_no_name_that_a_registry_holds_is_refused(name: str) -> None:
    held = REGISTRIES[name].names()
    assert [known for known in held if not NAMES.knows(name, known)] == []
    assert set(NAMES.own(name)) <= set(held)


@pytest.mark.slow
@pytest.mark.parametrize("name", REGISTRIES)
def test_no_argument_that_a_component_takes_is_refused(name: str) -> None:
    for own in NAMES.own(name):
        signature = NAMES.signature(name, own)
        component = REGISTRIES[name].get(own)
        assert component is not None
        real, open_ended = parameters_of(component)
        assert signature is not None
        if signature.complete and not (inspect.isclass(component) and open_ended):
            assert set(signature.annotations) == set(real)
