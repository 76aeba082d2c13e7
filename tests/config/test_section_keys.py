"""Tests of cliqa.config.section_keys: keys that a file may leave out, on the command line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from cliqa.config.load import load_config
from cliqa.config.section_keys import TAKERS, keys_of
from cliqa.deploy.search.options import DeployOptions
from cliqa.engine.pretrain.check import BY_ENGINE, Source
from cliqa.models.weights.start import StartOptions
from cliqa.pretraining.pairs import PairDataset
from cliqa.pretraining.pretrainer import Pretrainer
from cliqa.registry import parameters_of
from cliqa.utils.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[2] / "config"


def test_the_keys_are_those_that_the_check_accepts() -> None:
    assert set(keys_of("deploy")) == {field.name for field in fields(DeployOptions)}
    assert set(keys_of("load_from")) == {field.name for field in fields(StartOptions)}
    training = set(parameters_of(Pretrainer)[0]) - set(BY_ENGINE["training"])
    assert set(keys_of("pretrain")) == training | {
        *("data", "loss", "anchors", "projection", "loss_type", "num_levels")
    }
    pairs = set(parameters_of(PairDataset)[0]) - {"images", "seed"}
    assert set(keys_of("pretrain.data")) == pairs | {field.name for field in fields(Source)}


@pytest.mark.parametrize("section", TAKERS)
def test_every_taker_is_found(section: str) -> None:
    assert keys_of(section)


@pytest.mark.parametrize(
    ("config", "option", "section"),
    [
        ("demo_naive", "deploy.target=size", {"deploy": {"target": "size"}}),
        ("demo_naive", "deploy.budget.max_drop=0.1", {"deploy": {"budget": {"max_drop": 0.1}}}),
        ("demo_naive", "load_from.path=2024", {"load_from": {"path": "2024"}}),
        ("iqa_naive", "evaluation.bootstrap=5", {"evaluation": {"bootstrap": 5}}),
    ],
)
def test_a_section_that_the_file_does_not_set(config: str, option: str, section: object) -> None:
    found = load_config(CONFIG / f"{config}.py", [option])
    assert {option.partition(".")[0]: found[option.partition(".")[0]]} == section


def test_options_of_a_pretraining() -> None:
    options = ["pretrain.data.table=mild", "pretrain.num_levels=3", "pretrain.loss_type=simplified"]
    options += ["pretrain.clip_norm=None", "pretrain.data.root=2024"]
    section = load_config(CONFIG / "qualiclip_demo.py", options)["pretrain"]
    assert section["data"]["table"] == "mild"
    assert section["data"]["num_levels"] == 3
    assert section["data"]["crop_size"] == 64
    assert section["data"]["root"] == "2024"
    assert section["loss"] == {"type": "SimplifiedQualiCLIPLoss"}
    assert section["clip_norm"] is None


@pytest.mark.parametrize(
    ("config", "option", "message"),
    [
        ("demo_naive", "deploy.targt=size", "deploy has no key 'targt'. Did you mean 'target'"),
        ("demo_naive", "deploy.budget.drop=1", "deploy.budget has no key 'drop'.*max_drop"),
        ("demo_naive", "pretrain.epochs=1", "no section 'pretrain', which would pretrain in place"),
        ("qualiclip_demo", "pretrain.data.tabel=x", "Did you mean 'table'"),
        ("qualiclip_demo", "pretrain.lr=1", "pretrain has no key 'lr'.*lr_encoder"),
        ("qualiclip_demo", "pretrain.loss_type=simple", "Did you mean 'simplified'"),
    ],
)
def test_a_wrong_key_is_refused_with_a_suggestion(config: str, option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(CONFIG / f"{config}.py", [option])
