"""Models of runs and of configs, ready to be measured."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from cliqa.compress.image_size import SIZE
from cliqa.compress.profile import (
    ProfiledModel,
    load_profiled,
    parameter_table,
    profile_model,
    profile_table,
    write_report,
)
from cliqa.config.load import load_config
from cliqa.deploy.profiling import Profile
from cliqa.models.build import build_model
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError

CONFIG = Path(__file__).resolve().parents[2] / "config"
CPU = torch.device("cpu")


def test_a_run_with_its_file(tiny_run: Path) -> None:
    profiled = load_profiled(tiny_run, CPU)
    assert profiled.name == "tiny"
    assert profiled.file_bytes == (tiny_run / "checkpoints" / "last.pth").stat().st_size
    assert (profiled.channels, profiled.size, profiled.crops) == (3, (12, 12), 1)  # as trained
    assert isinstance(profiled.model, nn.Module)
    assert not profiled.model.training
    of_file = load_profiled(tiny_run / "checkpoints" / "exp_0.pth", CPU)
    assert of_file.name == "exp_0.pth"


def test_a_config_with_its_preprocessing() -> None:
    profiled = load_profiled(CONFIG / "demo.py", CPU)
    assert (profiled.name, profiled.file_bytes) == ("demo", None)
    assert (profiled.size, profiled.crops) == ((96, 96), 1)
    built = build_model(load_config(CONFIG / "demo.py")["model"])
    assert isinstance(profiled.model, nn.Module)
    assert [p.shape for p in profiled.model.parameters()] == [p.shape for p in built.parameters()]
    crops = load_profiled(CONFIG / "iqa_naive.py", CPU)
    assert (crops.size, crops.crops) == ((224, 224), 4)


def test_grey_images_have_one_channel() -> None:
    profiled = load_profiled(CONFIG / "fmnist_naive.py", CPU)
    assert profiled.channels == 1
    assert profiled.batch(2, (28, 28), CPU).shape == (2, 1, 28, 28)
    (row,) = profile_model(profiled, [1], [], CPU, warmup=0, repeats=1)
    assert (row.height, row.width) == (28, 28)
    with pytest.raises(ModelError, match="fmnist_naive: fails at batch 1, 224 x 224 pixels"):
        profile_model(profiled, [1], [SIZE], CPU, warmup=0, repeats=1)


def test_every_size_with_every_batch(tiny_run: Path) -> None:
    profiled = load_profiled(tiny_run, CPU)
    rows = profile_model(profiled, [1, 3], [(64, 64), (64, 128)], CPU, warmup=0, repeats=2)
    found = [(row.batch, row.height, row.width) for row in rows]
    assert found == [(1, 64, 64), (3, 64, 64), (1, 64, 128), (3, 64, 128)]
    macs = [row.gmacs for row in rows]
    assert macs[0] == macs[1]  # of one image
    assert macs[2] == pytest.approx(2 * (macs[0] or 0), rel=0.01)  # twice the pixels


def test_what_cannot_be_measured_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="work_dir without a checkpoint"):
        load_profiled(tmp_path, CPU)
    with pytest.raises(ModelError, match=r"clear_features_naive\.py: its model takes the features"):
        load_profiled(CONFIG / "clear_features_naive.py", CPU)


MODEL = nn.Sequential(nn.Conv2d(3, 1000, 1), nn.Linear(2, 1))
RUN = ProfiledModel("run", MODEL, 3 * 2**20, 3, (8, 8), 4)
ROW = Profile("run", "torch", "cpu", 2, 4, 8, 16, 0.12345, 0.2469, 1.234, 2.345, 1.5, 3241.5, 300.4)


def test_parameters_have_a_line_a_part() -> None:
    rows = parameter_table([RUN]).rows
    assert rows[0] == ("run", "0", "4,000", "4,000", "", "")
    assert rows[2] == ("run", "total", "4,003", "4,003", "0.02", "3.00")
    without = ProfiledModel("config", MODEL, None, 3, (8, 8), 1)
    assert parameter_table([without]).rows[2][-1] == "n/a"


def test_a_line_says_what_was_measured() -> None:
    table = profile_table([ROW])
    assert table.title.startswith("One forward pass (cpu, 2 thread(s)); MACs and FLOPs of one")
    said = dict(zip(table.header, table.rows[0], strict=True))
    assert said["H x W"] == "8 x 16"
    assert (said["GMACs"], said["GFLOPs"], said["p95 ms"]) == ("0.1235", "0.2469", "2.35")


def test_files_hold_unrounded_numbers(tmp_path: Path) -> None:
    for suffix in ("json", "csv", "md"):
        write_report(tmp_path / f"p.{suffix}", [RUN], [ROW])
    written = json.loads((tmp_path / "p.json").read_text())
    assert written["rows"] == [ROW.to_row()]
    assert written["models"]["run"]["parameters"]["total"] == {"all": 4003, "trainable": 4003}
    assert written["models"]["run"]["checkpoint_bytes"] == 3 * 2**20
    (line,) = csv.DictReader((tmp_path / "p.csv").open())
    assert float(line["p50_ms"]) == 1.234
    text = (tmp_path / "p.md").read_text()
    assert text.index("**Parameters**") < text.index("**One forward pass")
    write_report(tmp_path / "p.tex", [RUN], [ROW])
    write_report(tmp_path / "p.html", [RUN], [ROW])
    assert (tmp_path / "p.tex").read_text().count(r"\end{tabular}") == 2
    assert "<caption>Parameters</caption>" in (tmp_path / "p.html").read_text()
    with pytest.raises(ConfigError, match=r"p\.rtf: the name must end in \.json, \.txt, \.md"):
        write_report(tmp_path / "p.rtf", [RUN], [ROW])
