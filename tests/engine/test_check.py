"""Systematically broken configs: each gives a short error that names the place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from cliqa.engine.check import check_config, check_scenario, kind_of
from cliqa.utils.errors import CliqaError, ConfigError

Config = dict[str, Any]

SECTIONS: dict[str, str] = {
    "scenario": "QualityStream",
    "scenario.datasets.0": "ScoreFile",
    "scenario.datasets.1": "EVA",
    "scenario.datasets.2": "KonIQ10k",
    "scenario.train_transform.0": "RandomCrop",
    "scenario.eval_transform.0": "Resize",
    "scenario.generate": "DemoData",
    "model": "QualityModel",
    "model.backbone": "ResNet",
    "model.neck": "GlobalAveragePooling",
    "model.head": "CosineScoreHead",
    "cl_strategy": "Replay",
    "cl_strategy.optimizer": "AdamW",
    "cl_strategy.scheduler": "CosineAnnealingLR",
    "cl_strategy.loss": "HuberLoss",
    "cl_strategy.plugins.0": "L2",
    "loggers.0": "TextLogger",
    "loggers.1": "TensorboardLogger",
    "metrics.0": "quality_metrics",
    "metrics.1": "loss_metrics",
}
"""Every place that names a component, with its name."""


def good() -> Config:
    """Return a config with a component in every place."""
    return {
        "scenario": {
            "type": "QualityStream",
            "dataset_root": "data",
            "generate": {"type": "DemoData", "seed": 1},
            "datasets": [
                {
                    "type": "ScoreFile",
                    "root": "a",
                    "labels": "a.csv",
                    "score_range": (0, 1),
                    "higher_is_better": True,
                },
                {"type": "EVA", "root": "eva"},
                {"type": "KonIQ10k", "root": "koniq", "score": "mos"},
            ],
            "train_transform": [{"type": "RandomCrop", "size": 32}, {"type": "ToTensor"}],
            "eval_transform": [{"type": "Resize", "size": 32}, {"type": "ToTensor"}],
            "shared": "remove",
        },
        "model": {
            "type": "QualityModel",
            "backbone": {"type": "ResNet", "depth": 18},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "CosineScoreHead", "in_channels": 512},
        },
        "cl_strategy": {
            "type": "Replay",
            "mem_size": 10,
            "train_mb_size": 8,
            "eval_mb_size": 8,
            "train_epochs": 2,
            "clip_grad_norm": 1.0,
            "optimizer": {"type": "AdamW", "lr": 1e-3},
            "scheduler": {"type": "CosineAnnealingLR", "eta_min": 0.0},
            "loss": {"type": "HuberLoss", "delta": 0.1},
            "plugins": [{"type": "L2", "strength": 0.1}],
        },
        "loggers": [{"type": "TextLogger", "file": "a.log"}, {"type": "TensorboardLogger"}],
        "metrics": [
            {"type": "quality_metrics", "measures": ["srcc"]},
            {"type": "loss_metrics", "epoch": True},
        ],
        "seed": 0,
    }


def owner_of(config: Config, path: str) -> tuple[Any, Any]:
    """Return the container and the key at a dotted path."""
    owner: Any = config
    *steps, last = path.split(".")
    for step in steps:
        owner = owner[int(step) if step.isdigit() else step]
    return owner, int(last) if last.isdigit() else last


def changed(path: str, value: Any) -> Config:
    """Return a good config with another value at a path."""
    config = copy.deepcopy(good())
    owner, key = owner_of(config, path)
    owner[key] = value
    return config


def cases() -> Iterator[tuple[str, Config]]:
    """Yield broken configs by what is broken."""
    for path, name in SECTIONS.items():
        owner, key = owner_of(good(), path)
        section = owner[key]
        yield f"{path}: misspelt type", changed(f"{path}.type", name[:-2] + name[-1])
        yield f"{path}: type in other letters", changed(f"{path}.type", name.swapcase())
        yield f"{path}: type is None", changed(f"{path}.type", None)
        yield f"{path}: type is a number", changed(f"{path}.type", 7)
        yield f"{path}: a string", changed(path, name)
        yield f"{path}: a list", changed(path, [section])
        yield f"{path}: unknown argument", changed(path, {**section, "no_such_argument": 1})
        for argument in section:
            if argument in ("type", "dataset_root", "datasets", "generate", "plugins"):
                continue
            misspelt = {k + "x" if k == argument else k: v for k, v in section.items()}
            yield f"{path}: misspelt {argument}", changed(path, misspelt)
    for key in ("train_mb_size", "eval_mb_size", "train_epochs"):
        for value in (0, -1, 1.5, "8", None, True):
            yield f"cl_strategy: {key}={value!r}", changed(f"cl_strategy.{key}", value)
    values: tuple[tuple[str, Any], ...] = (
        ("cl_strategy.eval_every", -2),
        ("cl_strategy.eval_every", "often"),
        ("cl_strategy.plugins.0", {"type": "LwFPlugin"}),
        ("cl_strategy.clip_grad_norm", -1),
        ("cl_strategy.validate_every", -1),
        ("cl_strategy.validate_every", "often"),
        ("cl_strategy.scheduler.by", "batch"),
        ("scenario.datasets", "eva-ava-konik"),
        ("scenario.train_transform", [{"type": "Normalize", "mean": [0.5], "std": [0.5]}]),
        ("metrics.0", {"type": "accuracy_metrics"}),
        ("metrics.0", {"type": "avalanche.confusion_matrix_metrics"}),
    )
    for key, value in values:
        yield f"{key.partition('.')[0]}: {key}={value!r}", changed(key, value)
    for key in ("optimizer", "loss"):
        config = good()
        del config["cl_strategy"][key]
        yield f"cl_strategy: no {key}", config
    for key in ("labels", "score_range", "higher_is_better", "root"):
        config = good()
        del config["scenario"]["datasets"][0][key]
        yield f"scenario.datasets.0: no {key}", config


CASES = dict(cases())


def test_the_good_config_is_good() -> None:
    check_config(good())


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", CASES)
def test_a_broken_config_gets_a_short_error(name: str) -> None:
    with pytest.raises(CliqaError) as caught:
        check_config(CASES[name])
    message = str(caught.value)
    place = name.partition(":")[0].split(".")[0]
    assert place in message, message
    assert len(message.splitlines()) <= 2, message
    assert "Traceback" not in message
    assert len(message) > 20


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("cl_strategy.optimizer.type", "SDG", r"unknown optimizer 'SDG'\. Did you mean 'SGD'\?"),
        ("cl_strategy.mem_size", None, "mem_size: expected an integer, got None"),
        ("cl_strategy.type", "Naiv", r"unknown strategy 'Naiv'\. Did you mean 'Naive'\?"),
        ("cl_strategy.type", "Repley", r"unknown strategy 'Repley'\. Did you mean 'Replay'\?"),
    ],
)
def test_advice(path: str, value: Any, message: str) -> None:
    config = changed(path, value)
    if path == "cl_strategy.type":
        del config["cl_strategy"]["mem_size"]
    with pytest.raises(ConfigError, match=message):
        check_config(config)


def test_the_config_is_left_alone() -> None:
    config = good()
    check_config(config)
    assert config == good()


@pytest.mark.parametrize(
    "strategy",
    [
        {"type": "Naive"},
        {"type": "JointTraining"},
        {"type": "Cumulative"},
        {"type": "L2", "strength": 0.1},
        {"type": "avalanche.EWC", "ewc_lambda": 1.0},
        {"type": "avalanche.Naive"},
        {"type": "SynapticIntelligence", "si_lambda": 1.0},
        {"type": "GEM", "patterns_per_exp": 4, "memory_strength": 0.5},
    ],
)
def test_other_strategies_are_known(strategy: Config) -> None:
    config = good()
    rest = {k: v for k, v in config["cl_strategy"].items() if k not in ("type", "mem_size")}
    config["cl_strategy"] = {**rest, **strategy}
    check_config(config)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ({"type": "avalanche.LwF", "alpha": 1.0, "temperature": 2.0}, r"'avalanche\.LwF'.*scores"),
        ({"type": "avalanche.JointTraining"}, r"whole stream in one call.*'JointTraining'"),
        ({"type": "avalanche.GDumb", "mem_size": 4}, r"'avalanche\.GDumb'.*needs class"),
        (
            {"type": "Naive", "plugins": [{"type": "MIRPlugin", "batch_size_mem": 4}]},
            r"cl_strategy\.plugins\[0\] 'MIRPlugin'.*scores\. Use this package's 'MIR'\.",
        ),
        (
            {"type": "Naive", "plugins": [{"type": "EarlyStoppingPlugin", "patience": 1}]},
            r"'EarlyStoppingPlugin': .*Set cl_strategy\.patience=3 \(keep_best=True",
        ),
    ],
)
def test_what_cannot_learn_scores_is_refused(strategy: Config, message: str) -> None:
    config = good()
    rest = {k: v for k, v in config["cl_strategy"].items() if k not in ("type", "mem_size")}
    config["cl_strategy"] = {**rest, **strategy}
    for plugin in config["cl_strategy"]["plugins"]:
        if plugin["type"] == "EarlyStoppingPlugin":
            plugin["val_stream_name"] = "val_stream"
    with pytest.raises(ConfigError, match=message):
        check_config(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"metrics": [{"type": "quality_metrics"}]},
            r"metrics\[0\] 'quality_metrics': measures quality scores.*accuracy_metrics",
        ),
        (
            {"scenario.evaluation_protocl": "iid"},
            r"scenario 'CLEAR': unexpected argument 'evaluation_protocl'\. Did you mean",
        ),
        (
            {"cl_strategy.type": "avalanche.ICaRL"},
            r"cl_strategy 'avalanche\.ICaRL': .*as objects\. Use this package's 'ICaRL'\.",
        ),
        (
            {"cl_strategy.plugins": [{"type": "BiCPlugin"}]},
            r"plugins\[0\] 'BiCPlugin': .*0\.6 forbids\. Use this package's 'ICaRL'\.",
        ),
        ({"load_from": {"path": "x.pth", "frezze": []}}, r"load_from: unknown key 'frezze'"),
        (
            {"scenario.feature_type": "moco_b0", "deploy": {"target": "size"}},
            r"deploy: scenario\.feature_type='moco_b0': the model takes features.*Leave deploy out",
        ),
        ({"scenario.train_transform": [{"type": "Resiz", "size": 3}]}, r"Did you mean 'Resize'"),
        ({"scenario.generate": {"type": "ClearData", "clases": 3}}, r"scenario\.generate.*clases"),
    ],
)
def test_mistakes_over_classes(clear_config: Config, change: Config, message: str) -> None:
    for path, value in change.items():
        owner = clear_config
        *above, last = path.split(".")
        for key in above:
            owner = owner[key]
        owner[last] = value
    with pytest.raises(CliqaError, match=message):
        check_config(clear_config)


def test_a_folder_is_asked_for(clear_config: Config) -> None:
    del clear_config["scenario"]["dataset_root"]
    with pytest.raises(ConfigError, match=r"scenario 'CLEAR': missing argument 'dataset_root'"):
        check_config(clear_config)


@pytest.mark.parametrize("strategy", ["LwF", "avalanche.DER", "Naive", "JointTraining", "L2"])
def test_strategies_over_classes_are_known(clear_config: Config, strategy: str) -> None:
    clear_config["cl_strategy"]["type"] = strategy
    clear_config["cl_strategy"].pop("mem_size")
    if strategy == "LwF":
        clear_config["cl_strategy"] |= {"alpha": 1.0, "temperature": 2.0}
    check_config(clear_config)


@pytest.mark.parametrize("strategy", ["Naive", "JointTraining", "avalanche.Naive"])
def test_arguments_of_another_strategy_are_refused(clear_config: Config, strategy: str) -> None:
    clear_config["cl_strategy"]["type"] = strategy  # its mem_size is Replay's
    message = rf"cl_strategy '{strategy}': unexpected argument 'mem_size'\..*It accepts .*train_ep"
    with pytest.raises(ConfigError, match=message):
        check_config(clear_config)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("scenario.datasets.0.higher_is_better", "maybe", "true or false or None, got 'maybe'"),
        ("scenario.datasets.0.score_range", [1], r"a list of two numbers or None, got \[1\]"),
        ("scenario.datasets.1.seed", "abc", "an integer, got 'abc'"),
        ("scenario.cache", "on", r"'auto', 'ram', 'disk'"),
        ("scenario.datasets.1.missing", "skp", "'error' or 'skip', got 'skp'"),
        ("scenario.datasets.1.root", 2024, "a path, got 2024. If it is a name, .* '2024'"),
        ("scenario.dataset_root", 2024, "a path, got 2024"),
        ("scenario.generate.seed", 1.5, "an integer, got 1.5"),
        ("model.backbone", "ResNet", r"dict\(\.\.\.\), got 'ResNet'"),
        ("cl_strategy.reset_optimizer", "maybe", "true or false, got 'maybe'"),
        ("cl_strategy.patience", "a", "an integer or None, got 'a'"),
        ("cl_strategy.optimizer.lr", float("nan"), "a finite number, got nan"),
        ("cl_strategy.optimizer.amsgrad", "maybe", "true or false, got 'maybe'"),
        ("cl_strategy.plugins.0.strength", "a", "a number, got 'a'"),
        ("cl_strategy.loss.delta", [1], r"a number, got \[1\]"),
        ("metrics.1.epoch", "often", "true or false, got 'often'"),
    ],
)
def test_values_that_do_not_fit_are_named_with_their_key(
    path: str, value: Any, message: str
) -> None:
    key = path.rpartition(".")[2]
    with pytest.raises(ConfigError, match=rf"{key}: expected {message}") as caught:
        check_config(changed(path, value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "cl_strategy.optimizer.lr",
            -1,
            "cl_strategy.optimizer 'AdamW': Invalid learning rate: -1",
        ),
        ("cl_strategy.mem_size", -3, "mem_size"),
        ("cl_strategy.plugins.0.strength", -1, "strength"),
        ("scenario.generate.size", -5, "size"),
    ],
)
def test_numbers_out_of_range_are_told_before_anything_is_read(
    path: str, value: Any, message: str
) -> None:
    with pytest.raises(CliqaError, match=message):
        check_config(changed(path, value))


def test_all_mistakes_are_told_at_once() -> None:
    config = changed("cl_strategy.optimizer.lr", "fast")
    config["scenario"]["datasets"][0].update(higher_is_better="maybe", score_range=3)
    config["cl_strategy"]["reset_optimizer"] = 7
    with pytest.raises(ConfigError) as caught:
        check_config(config)
    keys = ("score_range", "higher_is_better", "lr", "reset_optimizer")
    lines = str(caught.value).splitlines()
    assert [next(key for key in keys if f"{key}: " in line) for line in lines] == list(keys)


def test_trying_values_draws_no_random_number() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    check_config(good())
    assert torch.equal(torch.get_rng_state(), state)


def test_what_is_used_is_returned() -> None:
    config = changed("scenario.datasets.0.higher_is_better", "no")
    assert check_config(config)["scenario"]["datasets"][0]["higher_is_better"] is False
    assert config["scenario"]["datasets"][0]["higher_is_better"] == "no"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("scenario.datasets", -1, r"scenario\.datasets: expected a list of dict.*, got -1"),
        ("scenario.datasets", {"type": "EVA"}, r"scenario\.datasets: expected a list of dict"),
        ("scenario.datasets", [], r"scenario\.datasets: names none"),
        ("scenario.datasets", None, r"scenario\.datasets: names none"),
        ("cl_strategy.plugins", 1e30, r"cl_strategy\.plugins: expected a list of dict.*1e\+30"),
        ("cl_strategy.plugins", "L2", r"cl_strategy\.plugins: expected a list of dict"),
    ],
)
def test_lists_of_components_are_lists(path: str, value: Any, message: str) -> None:
    config = changed(path, value)
    config["model"]["backbone"] = {"type": "ResNt"}
    with pytest.raises(ConfigError, match=message):
        check_config(config)


def test_a_key_that_is_no_text_is_refused(tiny_config: dict[str, Any]) -> None:
    tiny_config["cl_strategy"] = {**tiny_config["cl_strategy"], "type": "EWC", 1: 2}
    with pytest.raises(ConfigError, match="unexpected argument '1'"):
        check_config(tiny_config)


def test_every_mistake_of_a_scenario_is_told(tiny_config: dict[str, Any]) -> None:
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
def test_what_is_no_scenario_is_refused(scenario: Any) -> None:
    with pytest.raises(ConfigError, match="scenario"):
        check_scenario(scenario)
