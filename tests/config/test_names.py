"""Tests of cliqa.config.names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.config.inheritance import read_chain
from cliqa.config.names import check_names
from cliqa.config.sections import ELSEWHERE
from cliqa.utils.errors import ConfigError


def check(folder: Path, **files: str) -> None:
    """Write files and check the names of x.py, whose values are run without bases."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    values: dict[str, Any] = {}
    for name in reversed(files):
        exec(files[name], {}, values)
    check_names(
        {k: v for k, v in values.items() if not k.startswith("_")}, read_chain(folder / "x.py")
    )


HARMLESS = [
    "batch_size", "img_norm_cfg", "norm_cfg", "num_classes", "data_root", "lr", "root", "size",
    "model_name", "image_size", "feature", "weight_decay", "dataset_type", "max_iters", "interval",
]  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_variables_that_nothing_reads_pass(tmp_path: Path, name: str) -> None:
    check(tmp_path, x=f"{name} = dict(mean=[1])")


SLIPS = {
    "senario": "scenario", "scenerio": "scenario", "scenarios": "scenario", "models": "model",
    "modle": "model", "MODEL": "model", "cl_stategy": "cl_strategy", "cl_stratagy": "cl_strategy",
    "clstrategy": "cl_strategy", "logger": "loggers", "metircs": "metrics", "work_dirs": "work_dir",
    "workdir": "work_dir", "loadfrom": "load_from", "load_form": "load_from", "seeds": "seed",
    "Seed": "seed", "train_pipline": "train_pipeline", "test_pipelines": "test_pipeline",
    "checkpoint_cfg": "checkpoint_config", "chekpoint_config": "checkpoint_config",
    "evaluate": "evaluation", "custom_import": "custom_imports", "num_worker": "num_workers",
}  # fmt: skip


@pytest.mark.parametrize(("name", "section"), SLIPS.items())
def test_slips_of_sections(tmp_path: Path, name: str, section: str) -> None:
    with pytest.raises(ConfigError, match=rf"x\.py, line 1: {name}: .*Did you mean '{section}'"):
        check(tmp_path, x=f"{name} = 1")


@pytest.mark.parametrize("name", ELSEWHERE)
def test_names_that_belong_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"line 1: {name}: '{name}' is no section; it belongs"):
        check(tmp_path, x=f"{name} = 1")


@pytest.mark.parametrize("name", ["models", "optimizer", "stages"])
def test_names_that_something_reads_are_variables(tmp_path: Path, name: str) -> None:
    check(tmp_path, x=f"{name} = dict(type='A')\nmodel = {name}")
    (tmp_path / "x.py").write_text(f"_base_ = 'b.py'\nmodel = dict(a=_base_.{name})")
    (tmp_path / "b.py").write_text(f"{name} = dict(type='A')")
    check_names({name: {"type": "A"}}, read_chain(tmp_path / "x.py"))


def test_components_that_nothing_reads_in_a_base(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"b\.py, line 1: extra: unknown section, and nothing"):
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
    check_names({}, read_chain(tmp_path / "x.py"))


def test_a_section_that_a_base_has_used_may_be_set_again(tmp_path: Path) -> None:
    check(tmp_path, x="_base_ = 'b.py'\nseed = 2", b="seed = 1\nscenario = dict(seed=seed)")
