"""Tests of cliqa.engine.pretrain.check; test_pretrain.py has more refusals."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import load_config
from cliqa.engine.pretrain.check import check_pretraining
from cliqa.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]
CONFIG = load_config(ROOT / "config" / "qualiclip_demo.py")


def changed(key: str, value: Any) -> dict[str, Any]:
    """Return a good config with another value at a dotted key of its ``pretrain``."""
    config = copy.deepcopy(CONFIG)
    owner = config["pretrain"]
    *steps, last = key.split(".")
    for step in steps:
        owner = owner.setdefault(step, {})
    owner[last] = value
    return config


def test_words_become_truth_values() -> None:
    assert (
        check_pretraining(changed("data.pristine", "yes"))["pretrain"]["data"]["pristine"] is True
    )
    assert check_pretraining(CONFIG) == CONFIG


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", "many", r"pretrain\.epochs: expected an integer, got 'many'"),
        ("lr_encoder", float("nan"), r"pretrain\.lr_encoder: expected a finite number, got nan"),
        ("clip_norm", [1], r"pretrain\.clip_norm: expected a number or None, got \[1\]"),
        ("data.root", 2024, r"pretrain\.data\.root: expected a path or None, got 2024"),
        ("data.held_out", "a", r"pretrain\.data\.held_out: expected a number, got 'a'"),
        ("data.crop_size", 1.5, r"pretrain\.data\.crop_size: expected an integer, got 1\.5"),
        ("data.pristine", "maybe", r"pristine: expected true or false, got 'maybe'"),
        ("data.families", "blur", r"families: expected a list of strings or None, got 'blur'"),
        ("anchors.dim", None, r"pretrain\.anchors\.dim: expected an integer, got None"),
        ("projection.hidden", True, r"pretrain\.projection\.hidden: expected an integer, got True"),
        ("loss", [1, 2], r"pretrain\.loss: expected dict\(type=\.\.\.\) naming the loss, got list"),
        ("data", [1], r"pretrain\.data: expected dict\(\.\.\.\), got \[1\]"),
    ],
)
def test_wrong_kinds_are_refused(key: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_pretraining(changed(key, value))


def test_a_strategy_beside_a_pretraining_is_told(caplog: pytest.LogCaptureFixture) -> None:
    check_pretraining({**CONFIG, "cl_strategy": {"type": "Naive"}})
    assert "cl_strategy: not used, as the config has 'pretrain'." in caplog.text


def test_the_scenario_is_checked_too() -> None:
    config = copy.deepcopy(CONFIG)
    config["scenario"]["eval_transform"][0]["unheard_of"] = 1
    config["scenario"]["datasets"][0]["roo"] = config["scenario"]["datasets"][0].pop("root")
    with pytest.raises(ConfigError) as caught:
        check_pretraining(config)
    first, second = str(caught.value).splitlines()
    assert first.startswith("scenario.datasets[0] 'EVA': unexpected argument 'roo'")
    assert "scenario.eval_transform[0]" in second
    assert "unheard_of" in second


def test_a_stream_of_classes_is_refused() -> None:
    config = copy.deepcopy(CONFIG)
    config["scenario"] = load_config(ROOT / "config" / "fmnist_replay.py")["scenario"]
    with pytest.raises(ConfigError, match=r"one of classes.*Set pretrain\.data\.root"):
        check_pretraining(config)
    check_pretraining({**config, "pretrain": {**config["pretrain"], "data": {"root": "photos"}}})
