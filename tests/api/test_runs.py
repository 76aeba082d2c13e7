"""Tests of cliqa.api.runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cliqa
from cliqa.config.load import dump_config
from cliqa.utils.errors import ConfigError, DatasetError

LIGHT = """
import sys, cliqa
heavy = {"torch", "avalanche", "pandas", "numpy", "mmengine"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert {"train", "extend", "load", "evaluate", "results", "plugin"} <= set(dir(cliqa))
"""


@pytest.fixture
def config(tiny_config: dict[str, Any]) -> dict[str, Any]:
    """Return a config of one data set and one epoch."""
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["cl_strategy"]["train_epochs"] = 1
    return tiny_config


def test_importing_the_package_loads_no_library() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        _ = cliqa.fit  # type: ignore[attr-defined]


def test_a_config_file_is_trained_and_resumed(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "tiny.py"
    dump_config(config, path)
    folder = tmp_path / "run"
    options = ["cl_strategy.train_epochs=2", "seed=3"]
    run = cliqa.train(path, cfg_options=options, work_dir=folder, device="cpu")
    assert run.work_dir == folder
    assert run.results.status == "finished"
    assert run.results.content["seed"] == 3
    assert list(run.results.history["epoch"]) == [1, 2]
    before = run.results.matrix()
    again = cliqa.train(path, cfg_options=options, work_dir=folder, device="cpu", resume=True)
    assert again.results.matrix().equals(before)
    assert not folder.with_suffix(".1").exists()


def test_nested_dicts_are_a_config(config: dict[str, Any], tmp_path: Path) -> None:
    changes = {"cl_strategy.optimizer.lr": 0.01, "scenario.datasets.0.name": "1e3"}
    run = cliqa.train(config, cfg_options=changes, work_dir=tmp_path / "run", device="cpu", seed=1)
    assert run.config["cl_strategy"]["optimizer"]["lr"] == 0.01
    assert list(run.results.matrix().columns) == ["1e3"]
    images = Path(config["scenario"]["dataset_root"]) / "a"
    assert len(run.predict(images)) == 40
    assert len(run.load(device="cpu").predict(images, scale=(1, 5))) == 40


def test_nested_dicts_need_a_folder(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="Give work_dir="):
        cliqa.train(config)


def test_a_mistake_names_the_key(config: dict[str, Any], tmp_path: Path) -> None:
    config["cl_strategy"]["type"] = "Repaly"
    with pytest.raises(ConfigError, match="Did you mean 'Replay'"):
        cliqa.train(config, work_dir=tmp_path / "run")
    del config["model"]
    with pytest.raises(ConfigError, match="^config: no section 'model'"):
        cliqa.train(config, work_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_string_that_no_option_can_hold_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="both kinds of quotes"):
        cliqa.train(config, cfg_options={"scenario.dataset_root": "'\""})


def test_label_files_take_the_place_of_the_data_sets(
    config: dict[str, Any], tiny_data: Path, tmp_path: Path
) -> None:
    rows = (tiny_data / "b/scores.csv").read_text().splitlines()
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["photo,DMOS", *rows[1:]]))
    images = f"scenario.datasets.0.images={tiny_data / 'b'}"
    with pytest.raises(DatasetError, match="where are its images"):
        cliqa.train(config, data=path, work_dir=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()
    run = cliqa.train(
        config, data=path, cfg_options=[images], work_dir=tmp_path / "run", device="cpu"
    )
    assert run.results.content["datasets"] == ["mine"]
    assert run.config["scenario"]["datasets"][0]["higher_is_better"] is False
    scores = run.predict(tiny_data / "b", device="cpu")["score"]
    unit = run.predict(tiny_data / "b", scale=(0, 1), device="cpu")["score"]
    low, high = run.config["scenario"]["datasets"][0]["score_range"]
    assert list(scores) == pytest.approx(list(high - (high - low) * unit.clip(0, 1)))
