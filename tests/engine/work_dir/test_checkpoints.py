"""Checkpoints are found, checked, and give the model that was trained."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.commands.runs.train import main
from cliqa.config.load import load_config
from cliqa.engine.work_dir.checkpoints import (
    find_checkpoint,
    is_run,
    load_run,
    model_of,
)
from cliqa.engine.work_dir.same_run import check_fits
from cliqa.inference.image_model import open_model
from cliqa.models.weights.weights import load_weights
from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import CheckpointError

Config = dict[str, Any]


def test_a_folder_stands_for_its_last_checkpoint(tiny_run: Path, tmp_path: Path) -> None:
    last = tiny_run / "checkpoints" / "last.pth"
    assert find_checkpoint(tiny_run) == find_checkpoint(last) == last
    with pytest.raises(CheckpointError, match=r"work_dir without a checkpoint\. Train first"):
        find_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"exp_9\.pth: no such checkpoint\. Train first"):
        find_checkpoint(tiny_run / "exp_9.pth")


def test_what_is_no_run_is_refused(tmp_path: Path, tiny_run: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match=rf"no config in it.*load_from={path}"):
        load_run(path)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"weights\.pth"):
        load_run(path)
    assert is_run(load_run(find_checkpoint(tiny_run)))
    assert not is_run({"strategy": {}})


def test_the_model_is_the_trained_one(tiny_run: Path) -> None:
    state = load_run(tiny_run / "checkpoints" / "exp_1.pth")
    before = copy.deepcopy(state["config"])
    model = model_of(state)
    assert not model.training
    assert state["config"] == before
    found = model.state_dict()
    assert found.keys() == state["strategy"]["model"].keys()
    assert all(torch.equal(found[key], state["strategy"]["model"][key]) for key in found)


def test_pretrained_weights_need_not_be_there_any_more(tiny_run: Path) -> None:
    state = load_run(tiny_run / "checkpoints" / "last.pth")
    state["config"]["model"]["pretrained"] = "gone.pth"
    assert not model_of(state).training


def test_a_config_that_changes_no_score_fits(tiny_run: Path) -> None:
    config = load_config(tiny_run / "config.py")
    path = find_checkpoint(tiny_run)
    state = load_run(path)
    config["cl_strategy"]["optimizer"] = {"type": "SGD", "lr": 1.0}
    config["scenario"]["datasets"] = []
    config["seed"] = 7
    check_fits(state, config, path)


@pytest.mark.parametrize(
    ("section", "key", "value", "named"),
    [
        ("model", "head", {"type": "CosineScoreHead", "in_channels": 32}, r"model\.head\.type"),
        ("scenario", "eval_transform", [], r"scenario\.eval_transform"),
        ("cl_strategy", "type", "Naive", r"cl_strategy\.type"),
    ],
)
def test_another_config_is_refused_with_its_keys(
    tiny_run: Path, section: str, key: str, value: Any, named: str
) -> None:
    config = load_config(tiny_run / "config.py")
    path = find_checkpoint(tiny_run)
    config[section][key] = value
    message = rf"these keys differ: {named}.*{tiny_run / 'config.py'}"
    with pytest.raises(CheckpointError, match=message):
        check_fits(load_run(path), config, path)


def flip(path: Path, place: int) -> None:
    """Flip a bit of a file."""
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 4
    path.write_bytes(content)


def test_a_run_resumes_from_the_whole_checkpoint_that_a_damaged_one_names(
    tiny_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    kept = run / "checkpoints"
    for name in ("last", "exp_2"):  # a kept checkpoint and the last one are often one file
        flip(kept / f"{name}.pth", 40_000)
    arguments = [str(run / "config.py"), "--work-dir", str(run), "--device", "cpu", "--resume"]
    assert run_entry_point(lambda: main(arguments)) == 2
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert told == (
        f"error: {kept}/last.pth: damaged: its content does not match its checksum. The newest "
        f"intact checkpoint of this run: {kept}/exp_1.pth. Resume from it: --resume "
        f"{kept}/exp_1.pth"
    )
    assert (run / "metrics.jsonl").read_bytes() == (tiny_run / "metrics.jsonl").read_bytes()
    advice = told.partition("--resume ")[2].partition(" ")[0]
    assert run_entry_point(lambda: main([*arguments, advice])) == 0
    for name in ("metrics.jsonl", "matrix.csv"):
        assert (run / name).read_bytes() == (tiny_run / name).read_bytes()
    one, other = (
        load_run(folder / "checkpoints" / "last.pth")["strategy"] for folder in (run, tiny_run)
    )
    assert all(torch.equal(one["model"][key], value) for key, value in other["model"].items())


@pytest.mark.parametrize("place", [0, 30, 100, 5_000, 70_000, -400, -60, -20, -1])
def test_a_flipped_bit_anywhere_stops_whoever_reads_a_checkpoint(
    tiny_run: Path, tmp_path: Path, place: int
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    path = run / "checkpoints" / "last.pth"
    flip(path, place)
    for read in (load_run, lambda path: open_model(path, torch.device("cpu"))):
        with pytest.raises(CheckpointError, match=r"last\.pth: damaged.*run: \S+exp_2\.pth\."):
            read(path)
    with pytest.raises(CheckpointError, match=r"last\.pth: damaged.*run: \S+exp_2\.pth\."):
        load_weights(torch.nn.Linear(1, 1), path)
