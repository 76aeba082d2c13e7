"""Tests of cliqa.config.sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.config.inheritance import read_chain
from cliqa.config.load import load_config
from cliqa.config.sections import ELSEWHERE, SECTIONS, check_sections, check_top_level, with_flags
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


def check(folder: Path, **files: str) -> None:
    """Write files and check the names of x.py, whose values are run without bases."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    values: dict[str, Any] = {}
    for name in reversed(files):
        exec(files[name], {}, values)
    check_top_level(
        {k: v for k, v in values.items() if not k.startswith("_")}, read_chain(folder / "x.py")
    )


@pytest.mark.parametrize("name", ["batch_size", "img_norm_cfg", "model_name", "dataset_type"])
def test_variables_that_nothing_reads_pass(tmp_path: Path, name: str) -> None:
    check(tmp_path, x=f"{name} = dict(mean=[1])")


SLIPS = {
    "scenerio": "scenario", "MODEL": "model", "cl_stratagy": "cl_strategy", "logger": "loggers",
    "metircs": "metrics", "workdir": "work_dir", "load_form": "load_from", "Seed": "seed",
    "train_pipline": "train_pipeline", "checkpoint_cfg": "checkpoint_config",
}  # fmt: skip


@pytest.mark.parametrize(("name", "section"), SLIPS.items())
def test_slips_of_sections(tmp_path: Path, name: str, section: str) -> None:
    with pytest.raises(ConfigError, match=rf"x\.py, line 1: {name}: .*Did you mean '{section}'"):
        check(tmp_path, x=f"{name} = 1")


@pytest.mark.parametrize("name", ["models", "optimizer", "stages"])
def test_names_that_something_reads_are_variables(tmp_path: Path, name: str) -> None:
    check(tmp_path, x=f"{name} = dict(type='A')\nmodel = {name}")
    (tmp_path / "x.py").write_text(f"_base_ = 'b.py'\nmodel = dict(a=_base_.{name})")
    (tmp_path / "b.py").write_text(f"{name} = dict(type='A')")
    check_top_level({name: {"type": "A"}}, read_chain(tmp_path / "x.py"))


def test_components_that_nothing_reads_in_a_base(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"b\.py, line 1: extra: unknown section, and not used"):
        check(tmp_path, x="_base_ = 'b.py'", b="extra = dict(parts=[dict(type='A')])")


def test_classes_and_functions_are_no_sections(tmp_path: Path) -> None:
    check(tmp_path, x="from pathlib import Path as Model\nmodels = len")


BASE = "size = 8\nscenario = dict(sizes=[1, size], deep=dict(a={'b': size * 2}), c=str(size))"


def test_a_variable_that_a_base_has_used(tmp_path: Path) -> None:
    pattern = r"x\.py, line 2: size has no effect here: .*b\.py has already used the size of .*"
    with pytest.raises(
        ConfigError, match=pattern + r"scenario\.c, scenario\.deep\.a, scenario\.siz"
    ):
        check(tmp_path, x="_base_ = 'b.py'\nsize = 9", b=BASE)


def test_a_variable_that_a_base_of_a_base_has_used(tmp_path: Path) -> None:
    files = {"x": "_base_ = 'b.py'", "b": "_base_ = 'c.py'\nsize = 9", "c": BASE}
    with pytest.raises(ConfigError, match=r"b\.py, line 2: size has no effect"):
        check(tmp_path, **files)


@pytest.mark.parametrize(
    "text",
    [
        "size = 9\nseed = size",
        "other = 9",
        "scenario = dict(sizes=[9])",
    ],
    ids=["read in the child", "another name", "the key itself"],
)
def test_changes_that_have_an_effect(tmp_path: Path, text: str) -> None:
    check(tmp_path, x=f"_base_ = 'b.py'\n{text}", b=BASE)


def test_a_variable_for_heirs_has_an_effect(tmp_path: Path) -> None:
    files = {"x": "_base_ = 'b.py'", "b": "_base_ = 'c.py'\nsize = 9", "c": BASE}
    for name, text in files.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "x.py").write_text("_base_ = 'b.py'\nseed = _base_.size")
    check_top_level({}, read_chain(tmp_path / "x.py"))


def test_a_section_that_a_base_has_used_may_be_set_again(tmp_path: Path) -> None:
    check(tmp_path, x="_base_ = 'b.py'\nseed = 2", b="seed = 1\nscenario = dict(seed=seed)")


def test_mistakes_of_several_sections_are_told_at_once() -> None:
    config = {**NEEDED, "seed": -1, "checkpoint_config": {"intervall": 2}, "num_workers": -3}
    del config["model"]
    with pytest.raises(ConfigError) as caught:
        check_sections(config, "x.py")
    lines = str(caught.value).split("\n")
    starts = ("no section 'model'", "checkpoint_config.intervall", "seed", "num_workers")
    assert len(lines) == 4
    assert all(any(line.startswith(f"x.py: {start}") for line in lines) for start in starts)


def test_a_whole_config_of_mmpretrain_is_to_be_converted(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "_base_ = ['mmpretrain::resnet/resnet18_8xb16_cifar10.py']\nenv_cfg = dict(mp_cfg={})\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    whole, own = sorted(str(caught.value).split("\n"), key=lambda line: "line 2" in line)
    assert "cliqa from-mmpretrain mmpretrain::resnet/resnet18_8xb16_cifar10.py --out" in whole
    assert "mine.py, line 2: env_cfg: is a key of mmengine" in own
