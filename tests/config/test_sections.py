"""Tests of cliqa.config.sections; refusals are in test_config_broken.py too."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.sections import ELSEWHERE, SECTIONS, check_sections, with_flags
from cliqa.utils.errors import ConfigError

NEEDED: dict[str, Any] = {"scenario": {}, "model": {}, "cl_strategy": {}}

FITTING = {
    "metrics": [[], [{"type": "loss_metrics"}], ({"type": "loss_metrics"},)],
    "evaluation": [{}, {"bootstrap": 0}],
    "checkpoint_config": [{"interval": 10}, {"interval": None, "keep": 1}],
    "load_from": [None, "a.pth"],
    "work_dir": [None, "runs"],
    "seed": [None, 0, 2**40],
    "amp": [True, False],
    "num_workers": [0, 8],
    "custom_imports": [None, {"imports": ["a.b"], "allow_failed_imports": False}],
}


@pytest.mark.parametrize(("name", "values"), FITTING.items())
def test_fitting_values_pass(name: str, values: list[Any]) -> None:
    for value in values:
        check_sections({**NEEDED, name: value}, "x.py")


@pytest.mark.parametrize("name", SECTIONS)
def test_no_section_takes_an_object(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"x\.py: {name}: expected .*, got 1\.5\."):
        check_sections({**NEEDED, name: 1.5}, "x.py")


@pytest.mark.parametrize("name", NEEDED)
def test_needed_sections(name: str) -> None:
    config = {key: value for key, value in NEEDED.items() if key != name}
    with pytest.raises(ConfigError, match=rf"no section '{name}' .*_base_ = \['_base_/\w+/\.\.\."):
        check_sections(config, "x.py")


@pytest.mark.parametrize("key", ["_delete", "__delete__", "delete_", "_del_", "_deletes_"])
def test_slips_of_delete(key: str) -> None:
    config = {**NEEDED, "model": {"parts": [{key: True}]}}
    with pytest.raises(ConfigError, match=rf"model\.parts\.0\.{key}: .*write _delete_=True"):
        check_sections(config, "x.py")


def test_words_with_del_in_them_are_no_slips() -> None:
    check_sections({**NEEDED, "model": {"model": 1, "deletes": 2, "delta": 3, "n_del": 4}}, "x.py")


def test_long_values_are_cut_in_messages() -> None:
    with pytest.raises(ConfigError) as caught:
        check_sections({**NEEDED, "metrics": "x" * 1000}, "x.py")
    assert len(str(caught.value)) < 120


def test_names_that_belong_elsewhere_are_no_sections() -> None:
    assert not ELSEWHERE.keys() & SECTIONS.keys()
    places = {place.format("x").partition(".")[0] for place in ELSEWHERE.values()}
    assert {place for place in places if "command line" not in place} <= SECTIONS.keys()


def test_words_for_true_and_false() -> None:
    custom = {"imports": ["a"], "allow_failed_imports": "Yes"}
    config = {"amp": "no", "custom_imports": custom, "seed": 1}
    found = with_flags(config)
    assert found["amp"] is False
    assert found["custom_imports"] == {"imports": ["a"], "allow_failed_imports": True}
    assert found["seed"] == 1
    assert config["amp"] == "no"
    assert custom["allow_failed_imports"] == "Yes"


@pytest.mark.parametrize("config", [{}, {"amp": "bfloat16"}, {"custom_imports": None}])
def test_what_is_no_word_stays(config: dict[str, Any]) -> None:
    assert with_flags(config) == config
