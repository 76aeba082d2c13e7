"""Growing a run from Python."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import cliqa
from cliqa.api.extension import _section
from cliqa.engine import train as engine_train
from cliqa.engine.train import train
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import name_after


@pytest.fixture
def run(tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a finished run over a, without figures."""
    monkeypatch.setattr(engine_train, "draw_run", lambda _: [])
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:1]
    tiny_config["cl_strategy"] |= {"train_epochs": 1, "scheduler": None}
    train(tiny_config, config_file="tiny.py", work_dir=tmp_path / "run", device="cpu")
    return tmp_path / "run"


def test_next_week_there_is_a_second_csv(run: Path, tiny_data: Path, tmp_path: Path) -> None:
    csv = tmp_path / "week2.csv"
    shutil.copytree(tiny_data / "b", tmp_path, dirs_exist_ok=True)
    (tmp_path / "scores.csv").rename(csv)
    grown = cliqa.extend(run, csv, device="cpu")
    assert grown.work_dir == run
    assert list(grown.results.matrix("srcc").columns) == ["a", "week2"]
    assert grown.config["scenario"]["datasets"][1] == {
        **grown.config["scenario"]["datasets"][0],
        **{"root": str(tmp_path), "labels": "week2.csv", "name": "week2"},
    }
    more = cliqa.extend(grown, train_epochs=2, device="cpu")
    assert list(more.results.history["epoch"]) == [1, 1, 2]


def test_another_layout_is_guessed_or_asked_for(tmp_path: Path) -> None:
    like = {"type": "ScoreFile", "root": "x", "labels": "a.csv", "score_column": "mos"}
    rows = [f"p{k}.png,{20 + k},s{k // 2}" for k in range(60)]
    for k in range(60):
        (tmp_path / f"p{k}.png").write_bytes(b"")
    csv = tmp_path / "a.csv"
    csv.write_text("\n".join(["Filename,DMOS,Scene", *rows]))
    folder = name_after(tmp_path)
    assert _section(csv, [like]) == {
        **{"type": "ScoreFile", "root": str(tmp_path), "labels": "a.csv", "name": f"{folder}_a"},
        **{"image_column": "Filename", "score_column": "DMOS", "group_column": "Scene"},
        **{"score_range": (0.0, 100.0), "higher_is_better": False},
    }
    csv.write_text("\n".join(["Filename,Value,Scene", *rows]))
    with pytest.raises(
        DatasetError, match=r"datasets\.1\.higher_is_better=(?s:.*)dict\(type='Scor"
    ):
        _section(csv, [like])


def test_a_new_folder_leaves_the_run_as_it_is(run: Path, tiny_data: Path, tmp_path: Path) -> None:
    section: dict[str, Any] = {
        "type": "ScoreFile",
        "root": str(tiny_data / "b"),
        "labels": "scores.csv",
    }
    section |= {"images": ".", "name": "b", "score_range": (0, 1), "higher_is_better": True}
    grown = cliqa.extend(run, section, work_dir=tmp_path / "new", device="cpu")
    assert grown.results.matrix().shape == (2, 2)
    assert cliqa.results(run).matrix().shape == (1, 1)


def test_what_cannot_be_added_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="^extend: nothing to add"):
        cliqa.extend(run)
    with pytest.raises(ConfigError, match="is no run's folder: it has no config.py"):
        cliqa.extend(tmp_path, "b.csv")
    with pytest.raises(ConfigError, match="extend: 'koniq' is no data set. Give a label file"):
        cliqa.extend(run, "koniq")
    own = run / "config.py"
    text = own.read_text()
    own.write_text(text + "scenario['datasets'] = [dict(type='KonIQ10k', root='x')]\n")
    with pytest.raises(ConfigError, match="the run's last data set is a KonIQ10k, which does not"):
        cliqa.extend(run, "b.csv")
    own.write_text(text + "scenario['order'] = ['a']\n")
    with pytest.raises(ConfigError, match="the run has scenario.order. Give every data set a name"):
        cliqa.extend(run, "KonIQ10k=/data/koniq")
    own.write_text(text + "scenario = dict(type='CLEAR', dataset_root='x')\n")
    with pytest.raises(ConfigError, match="extend: a CLEAR has no list of data sets. Raise its bu"):
        cliqa.extend(run, "b.csv")
