"""A config's deploy section: what it may hold."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.deploy.search.options import PRESETS, DeployOptions, deploy_options
from cliqa.deploy.search.pareto import Budget
from cliqa.engine.check import check_config
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"epohcs": 3}, r"deploy: unknown key 'epohcs'\. Did you mean 'epochs'\?"),
        ({"images": 8}, "images must be an integer >= 32, got 8"),
        ({"epochs": -1}, "epochs must be an integer >= 0, got -1"),
        ({"threads": True}, r"deploy\.threads: expected an integer, got True"),
        ({"budget": {"max_dorp": 1}}, r"unknown limit 'max_dorp'\. Did you mean 'max_drop'\?"),
        ({"budget": {"max_mib": 0}}, "max_mib must be above 0"),
        ({"prunings": [1.5]}, "a share lies between 0 and 1, got 1.5"),
        ({"backends": ["tensorrt"]}, "backend must be one of"),
        ({"precisions": ["fp4"]}, "no backend here has 'fp4'"),
        ({"precisions": []}, "deploy.precisions: it leaves nothing to try"),
        ({"precisions": ["fp32"], "backends": ["torch"]}, "it leaves nothing to try"),
        ({"target": "speed"}, "target must be 'size', 'latency' or 'quality'"),
    ],
)
def test_mistakes_are_told_before_anything_is_read(
    section: dict[str, Any], message: str, tiny_config: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=message):
        deploy_options(section)
    with pytest.raises(ConfigError, match=message):
        check_config({**tiny_config, "deploy": section})


def test_a_whole_section_is_accepted(tiny_config: dict[str, Any]) -> None:
    section = {"target": "latency", "prunings": [0.3], "threads": 2, "budget": {"max_ms": 5}}
    assert deploy_options(section).limits == Budget(max_ms=5)
    check_config({**tiny_config, "deploy": section})


def test_no_budget_is_none() -> None:
    assert DeployOptions().limits is None


@pytest.mark.parametrize(
    ("missing", "section", "extra"),
    [
        ("onnxscript", {}, "deploy"),
        ("torch_pruning", {"prunings": [0.5]}, "deploy"),
        ("nncf", {"backends": ["openvino"]}, "openvino"),
        ("openvino", {"precisions": ["int8-bf16"]}, "openvino"),
    ],
)
def test_a_missing_library_is_told_before_training(
    missing: str, section: dict[str, Any], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == missing else name)
    message = rf'{missing} is not installed\. Install it with: pip install -e "\.\[{extra}\]"'
    with pytest.raises(ConfigError, match=message):
        deploy_options(section)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    deploy_options(section)


def test_pytorch_alone_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    deploy_options({"backends": ["torch"]})


def test_a_preset_gives_what_is_not_given() -> None:
    found = deploy_options({"preset": "mobile", "target": "latency"})
    assert (found.target, found.prunings, found.backends) == (
        "latency",
        (0.3, 0.5),
        ("onnxruntime",),
    )
    assert found.limits == Budget(max_drop=0.05)
    own = DeployOptions(preset="mobile", budget={"max_ms": 5}, prunings=[])
    assert own.limits == Budget(max_ms=5)
    assert list(own.prunings) == []


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_options(name: str) -> None:
    assert DeployOptions(preset=name).limits is not None


def test_the_research_preset_has_no_limit() -> None:
    assert DeployOptions(preset="research").limits == Budget()


def test_an_unknown_preset() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'edgy'. Did you mean 'edge'"):
        DeployOptions(preset="edgy")
