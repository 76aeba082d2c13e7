"""A browser's choice becomes a config that is checked, and that names no file of the browser's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cliqa.app.queue.choices import streams_of
from cliqa.app.queue.request import AFTER, AS_IN_CONFIG, HALF, WHILE, Request, config_of
from cliqa.config.load import dump_config, load_config
from cliqa.utils.errors import ConfigError

CONFIGS = Path(__file__).resolve().parents[3] / "config"
STREAMS = streams_of(CONFIGS)
DEMO = Request("generated_eva_ava_koniq", "resnet18_tiny_cosine")


def test_a_request_without_changes_is_the_config_that_it_starts_from() -> None:
    plain = load_config(CONFIGS / "demo_naive.py")
    assert config_of(DEMO, STREAMS) == {**plain, "seed": 0}


def test_a_method_replaces_the_configs_own_with_its_arguments() -> None:
    fusion = Request("generated_fashion", "small_fusion", "EWC", {"strength": "1e3", "mode": ""})
    strategy = config_of(fusion, STREAMS)["cl_strategy"]
    before = load_config(STREAMS["generated_fashion"].models["small_fusion"])["cl_strategy"]
    assert before["type"] == "TextReplay"
    assert strategy["type"] == "EWC"
    assert not {"mem_size", "beta", "plugins"} & set(strategy)
    assert strategy["optimizer"] == before["optimizer"]
    assert "strength" not in strategy  # 1e3 is its default
    changed = replace(fusion, arguments={"strength": "2.5", "gamma": "0.9"}, epochs=3, seed=7)
    config = config_of(changed, STREAMS)
    assert config["cl_strategy"]["strength"] == 2.5
    assert config["cl_strategy"]["gamma"] == 0.9
    assert config["cl_strategy"]["train_epochs"] == 3
    assert config["seed"] == 7


def test_the_switches_add_plugins_and_a_deployment(tmp_path: Path) -> None:
    asked = replace(DEMO, method="Replay", rank=4, pruned=0.3, quantization=WHILE)
    config = config_of(asked, STREAMS)
    plugins = {plugin["type"]: plugin for plugin in config["cl_strategy"]["plugins"]}
    assert list(plugins) == ["ChannelPruning", "LoRA", "QAT"]
    assert plugins["LoRA"]["rank"] == 4
    assert plugins["ChannelPruning"]["ratio"] == 0.3
    assert config["deploy"]["target"] == "size"
    assert (
        "plugins"
        not in config_of(replace(asked, rank=0, pruned=0.0, quantization=AFTER), STREAMS)[
            "cl_strategy"
        ]
    )
    assert "precisions" not in config["deploy"]
    half = config_of(replace(DEMO, quantization=HALF), STREAMS)
    assert half["deploy"] == {**config["deploy"], "precisions": ["fp16"]}
    dump_config(config, tmp_path / "asked.py")
    assert load_config(tmp_path / "asked.py") == config


@pytest.mark.parametrize("stream", STREAMS)
def test_every_model_of_every_stream_can_be_asked_for(stream: str) -> None:
    for model in STREAMS[stream].models:
        for method in (AS_IN_CONFIG, "Replay"):
            assert config_of(Request(stream, model, method), STREAMS)["model"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stream": "../../etc"}, "'../../etc': no such stream here"),
        ({"stream": ["a"]}, "no such stream here"),
        ({"model": "small_conv_net"}, "no such model of generated_eva_ava_koniq here"),
        ({"method": "os.system"}, "'os.system': no such method here"),
        ({"method": "GenerativeReplay"}, "no such method here"),
        ({"method": "QAT"}, "no such method here"),
        ({"epochs": 0}, "epochs: must be an integer from 1"),
        ({"epochs": "3"}, "epochs: must be an integer"),
        ({"epochs": True}, "epochs: must be an integer"),
        ({"seed": -1}, "seed: must be an integer from 0"),
        ({"seed": 1.5}, "seed: must be an integer"),
        ({"rank": 100_000}, "rank: must be an integer"),
        ({"pruned": 0.95}, "pruned: must be a number from 0 to 0.9"),
        ({"pruned": float("nan")}, "pruned: must be a number"),
        ({"quantization": "1 bit"}, "quantization: choose one of none, 16 bit, 8 bit, after"),
        ({"method": "LoRA", "rank": 4}, "LoRA is in the method already"),
        ({"method": "Replay", "arguments": {"storage": "1"}}, "Replay has no argument"),
        ({"method": "Replay", "arguments": {"mem_size": "many"}}, "mem_size: expected an integer"),
        ({"method": "Replay", "arguments": {"mem_size": 5}}, "a text is expected"),
        ({"method": "Replay", "arguments": {"selection": "dict(type='x')"}}, "a number, a word"),
        ({"method": "Replay", "arguments": {"selection": "[[1]]"}}, "Nested values"),
        ({"method": "Distillation", "arguments": {"teacher": "/etc/x"}}, "has no argument"),
        ({"arguments": {"mem_size": "5"}}, "as in the config: it takes no arguments"),
    ],
)
def test_what_is_not_offered_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(replace(DEMO, **change), STREAMS)


@pytest.mark.parametrize(
    ("method", "argument", "value", "message"),
    [
        ("EWC", "strength", "abc", "EWC': strength: expected a number, got 'abc'"),
        ("EWC", "strength", "-1", "EWC: strength must be >= 0, got -1"),
        ("EWC", "strength", "nan", "strength: expected a finite number, got nan"),
        ("EWC", "ewc_lambda", "1", "EWC has no argument 'ewc_lambda' to set here"),
        ("LoRA", "rank", "-1", "LoRA: rank must be an integer >= 1, got -1"),
        ("LoRA", "alpha", "0", "LoRA: alpha must be a number > 0, got 0"),
        ("StreamingRidge", "strength", "", r"train_epochs=\d+: StreamingRidge uses every sample"),
        ("StreamingRidge", "strength", "", "the model needs one RidgeHead. Set model.head="),
        ("StreamingRidge", "strength", "-1", "StreamingRidge: strength must be above 0, got -1"),
        ("StreamingRidge", "strength", "abc", "strength must be one of .*, got 'abc'"),
        ("StreamingRidge", "align", "left", "align must be one of .*, got 'left'"),
        ("StreamingRidge", "first_session", "-1", "first_session must be an integer >= 0, got -1"),
    ],
)
def test_wrong_arguments_are_refused_before_a_run_starts(
    method: str, argument: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        config_of(replace(DEMO, method=method, arguments={argument: value}), STREAMS)
