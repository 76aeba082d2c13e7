"""Tests of cliqa.config.load; mistakes are in test_config_broken.py."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.config import config as mmengine_config

from cliqa.config.load import default_work_dir, dump_config, load_config
from cliqa.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]

DATASETS = """
img_norm_cfg = dict(mean=[0.5, 0.5, 0.5], std=[0.25, 0.25, 0.25])
train_pipeline = [dict(type="RandomCrop", size=(8, 8)), dict(type="Normalize", **img_norm_cfg)]
data_sets = [dict(type="A"), dict(type="B")]
scenario = dict(type="Stream", train_transform=train_pipeline, datasets=data_sets)
"""
MODELS = 'model = dict(backbone=dict(type="ResNet", depth=18), neck=None, head=dict(type="Linear"))'
SCHEDULES = """
batch_size = 64
cl_strategy = dict(
    type="Naive",
    train_mb_size=batch_size,
    optimizer=dict(type="SGD", lr=0.01 * batch_size / 64, momentum=0.9),
    scheduler=dict(type="StepLR", step_size=30),
)
"""
LEAF = """
_base_ = ["_base_/datasets.py", "_base_/models.py", "_base_/schedules.py"]
cl_strategy = dict(type="EWC", strength=2.0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three bases and the leaf config ewc.py."""
    bases = tmp_path / "_base_"
    bases.mkdir()
    for name, text in (("datasets", DATASETS), ("models", MODELS), ("schedules", SCHEDULES)):
        (bases / f"{name}.py").write_text(text)
    (tmp_path / "ewc.py").write_text(LEAF)
    return tmp_path


def leaf(folder: Path, text: str) -> Path:
    """Write another leaf over the three bases and return its path."""
    path = folder / "leaf.py"
    path.write_text(LEAF + text)
    return path


def types_in(value: Any) -> set[type]:
    """Return the types of a nested value."""
    items = value.values() if isinstance(value, dict) else value
    nested = isinstance(value, (dict, list, tuple))
    return {type(value)}.union(*(types_in(item) for item in items)) if nested else {type(value)}


def test_merges_bases_into_plain_values(folder: Path) -> None:
    config = load_config(folder / "ewc.py")
    assert config["cl_strategy"] == {
        "type": "EWC",
        "train_mb_size": 64,
        "optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9},
        "scheduler": {"type": "StepLR", "step_size": 30},
        "strength": 2.0,
    }
    assert types_in(config) <= {dict, list, tuple, str, int, float, type(None)}


def test_drops_variables_and_copies_and_keeps_the_order_of_sections(folder: Path) -> None:
    config = load_config(str(folder / "ewc.py"))
    assert list(config) == ["scenario", "model", "cl_strategy"]  # train_pipeline is used there


def test_delete_replaces_an_inherited_dict(folder: Path) -> None:
    text = "cl_strategy['optimizer'] = dict(_delete_=True, type='Adam', lr=1)"
    config = load_config(leaf(folder, text))
    assert config["cl_strategy"]["optimizer"] == {"type": "Adam", "lr": 1}


def test_delete_of_what_no_base_has_does_not_reach_the_component(folder: Path) -> None:
    text = "cl_strategy['loss'] = dict(_delete_=True, type='L1Loss', parts=[dict(_delete_=True)])"
    config = load_config(leaf(folder, text))
    assert config["cl_strategy"]["loss"] == {"type": "L1Loss", "parts": [{}]}


def test_scope_of_a_base_does_not_reach_the_component(folder: Path) -> None:
    text = "scenario = dict(teacher=_base_.model, twin={{_base_.model.backbone}})"
    config = load_config(leaf(folder, text))
    assert config["scenario"]["teacher"] == config["model"]
    assert config["scenario"]["twin"] == {"type": "ResNet", "depth": 18}


def test_values_of_bases(folder: Path) -> None:
    text = "num_workers = {{_base_.batch_size}}\nseed = _base_.batch_size * 2"
    config = load_config(leaf(folder, text))
    assert (config["num_workers"], config["seed"]) == (64, 128)


def test_names_of_the_file_and_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLIQA_TEST_ROOT", "/somewhere")
    text = (
        "work_dir = 'runs/{{ fileBasenameNoExtension }}'\n"
        "load_from = '{{$CLIQA_TEST_ROOT:/default}}/{{$CLIQA_TEST_UNSET:b}}.pth'\n"
    )
    config = load_config(leaf(folder, text))
    assert (config["work_dir"], config["load_from"]) == ("runs/leaf", "/somewhere/b.pth")
    assert capfd.readouterr() == ("", "")


def test_a_first_import_does_not_make_it_a_lazy_config(folder: Path) -> None:
    path = folder / "import.py"
    path.write_text("import numpy as np\n" + LEAF + "seed = len(np.linspace(0, 1, 5).tolist())")
    assert load_config(path)["seed"] == 5


def test_a_base_in_another_folder_and_a_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "x.py").write_text("_base_ = '../ewc.py'\nseed = 3")
    monkeypatch.setenv("HOME", str(folder))
    assert load_config("~/deep/x.py")["seed"] == 3


def test_numpy_floats_become_python_floats(folder: Path) -> None:
    config = load_config(leaf(folder, "import numpy\nmodel = dict(p=numpy.float64(0.5))"))
    assert type(config["model"]["p"]) is float


@pytest.mark.parametrize(
    "text",
    [
        "num_classes = 11\ndata_root = 'data'\nlr = 0.1\nnorm_cfg = dict(mean=[1], std=[2])",
        "models = [dict(type='ResNet')]\nmodel = models[0]",
        "from pathlib import Path\nwork_dir = str(Path('a') / 'b')",
        "def double(x):\n    return 2 * x\nseed = double(3)",
    ],
    ids=["unused values", "a used name near a section's", "a class", "a function"],
)
def test_variables_of_the_author_pass(folder: Path, text: str) -> None:
    assert set(load_config(leaf(folder, text))) <= {
        *("scenario", "model", "cl_strategy", "work_dir", "seed")
    }


def test_tells_of_a_name_that_nothing_reads(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="cliqa"):
        load_config(leaf(folder, "num_classes = 11"))
    assert "leaf.py, line 4: num_classes: not a section, and not used" in caplog.text


def test_a_variable_may_be_set_again_where_it_is_read_again(folder: Path) -> None:
    text = "batch_size = 32\ncl_strategy['train_mb_size'] = batch_size"
    assert load_config(leaf(folder, text))["cl_strategy"]["train_mb_size"] == 32


def test_options(folder: Path) -> None:
    options = ["cl_strategy.optimizer.lr=1e-3", "seed=3", "scenario.datasets.1.type=C", "seed=4"]
    config = load_config(folder / "ewc.py", options)
    assert config["cl_strategy"]["optimizer"] == {"type": "SGD", "lr": 1e-3, "momentum": 0.9}
    assert config["seed"] == 4
    assert config["scenario"]["datasets"] == [{"type": "A"}, {"type": "C"}]


def test_custom_imports_are_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "cliqa_test_custom.py").write_text("LOADED = True")
    monkeypatch.syspath_prepend(str(folder))
    load_config(leaf(folder, "custom_imports = dict(imports=['cliqa_test_custom'])"))
    assert sys.modules.pop("cliqa_test_custom").LOADED


def test_custom_imports_may_be_allowed_to_fail(folder: Path) -> None:
    text = "custom_imports = dict(imports=['no_such_module'], allow_failed_imports=True)"
    assert load_config(leaf(folder, text))["custom_imports"]["allow_failed_imports"] is True


def test_a_dumped_config_loads_to_an_equal_one(folder: Path) -> None:
    text = (
        "model = dict(norm=float('inf'), eps=1e-12, single=(1,), none=[], empty={}, nest=((1, 2),),"
        " quote='it\\'s \"so\"', odd={'a-b': 1, 2: 'c', 'class': True}, text='\\n\\\\ ü')"
    )
    config = load_config(leaf(folder, text))
    dump_config(config, folder / "run" / "config.py")
    again = load_config(folder / "run" / "config.py")
    assert again == config
    assert types_in(again) == types_in(config)
    dump_config(again, folder / "again.py")
    assert (folder / "again.py").read_text() == (folder / "run" / "config.py").read_text()


def test_dump_refuses_what_is_not_plain_and_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("seed = 1")
    with pytest.raises(ConfigError, match="model.act: .* the class builtins.int"):
        dump_config({"model": {"act": int}}, tmp_path / "config.py")
    assert [path.name for path in tmp_path.iterdir()] == ["config.py"]
    assert (tmp_path / "config.py").read_text() == "seed = 1"


def test_work_dir_is_named_after_the_config() -> None:
    assert default_work_dir("config/sub/iqa_ewc.py") == Path("work_dirs/iqa_ewc")


def test_dataset_type_is_another_name_of_the_scenarios_type(folder: Path) -> None:
    path = folder / "older.py"
    path.write_text(LEAF + "scenario = dict(_delete_=True, dataset_type='CLEAR', seed=None)\n")
    assert load_config(path)["scenario"] == {"type": "CLEAR", "seed": None}
    options = ["scenario.dataset_type=SplitCIFAR10"]
    assert load_config(path, options)["scenario"]["type"] == "SplitCIFAR10"
    path.write_text(LEAF + "scenario = dict(dataset_type='CLEAR')\n")
    message = r"older\.py: scenario: type='Stream' and dataset_type='CLEAR' differ.*_delete_"
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_pipelines_are_the_scenarios_where_it_has_none(folder: Path) -> None:
    path = folder / "plain.py"
    sections = "scenario = dict(type='S')\nmodel = {}\ncl_strategy = {}\n"
    path.write_text(sections + "train_pipeline = [dict(type='ToTensor')]\n")
    found = load_config(path, ["train_pipeline.0.type=Resize"])
    assert found["scenario"] == {"type": "S", "train_transform": [{"type": "Resize"}]}
    assert "train_pipeline" not in found


def test_load_from_is_a_path_or_a_dict(folder: Path) -> None:
    path = folder / "start.py"
    path.write_text(LEAF + "load_from = dict(path='w.pth', freeze=['backbone'])\n")
    assert load_config(path)["load_from"]["freeze"] == ["backbone"]
    path.write_text(LEAF + "load_from = 3\n")
    with pytest.raises(ConfigError, match=r"load_from: expected a path or dict\(path=\.\.\.\) or"):
        load_config(path)


def test_threads_load_configs_at_the_same_time() -> None:
    paths = [ROOT / "config" / f"{name}.py" for name in ("demo_naive", "clear_demo_naive")] * 12
    before = (sys.stdout, mmengine_config.print_log, Config._get_cfg_path)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(load_config, paths))
    assert found[::2] == [load_config(paths[0])] * 12
    assert found[1::2] == [load_config(paths[1])] * 12
    assert (sys.stdout, mmengine_config.print_log, Config._get_cfg_path) == before
    assert not hasattr(mmengine_config, "open")
