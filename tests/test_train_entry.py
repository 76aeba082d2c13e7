"""``train_config.py`` as a user calls it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.commands.runs.train import main
from cliqa.config.load import dump_config, load_config
from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = str(ROOT / "train_config.py")

HEAVY = """
import importlib, sys
for name in ("runs.train", "runs.test", "models.predict", "runs.visualize"):
    try:
        importlib.import_module(f"cliqa.commands.{name}").parse_args(["--help"])
    except SystemExit as stopped:
        assert stopped.code == 0
heavy = {"torch", "avalanche", "mmpretrain", "matplotlib", "scipy", "numpy"}
print("imported:", sorted(heavy & set(sys.modules)))
"""


@pytest.fixture
def config_file(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    """Return a config of two data sets and one epoch in a folder of its own."""
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    tiny_config["cl_strategy"]["train_epochs"] = 1
    path = tmp_path / "config" / "tiny.py"
    path.parent.mkdir()
    dump_config(tiny_config, path)
    return path


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Return a function that runs the entry point here: exit status and stderr."""

    def run(*arguments: object) -> tuple[int, str]:
        with warnings.catch_warnings():  # the entry point sets filters
            status = run_entry_point(lambda: main([str(part) for part in arguments]))
        return status, capfd.readouterr().err

    return run


def start(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    """Start the entry point as a program of its own, in a folder."""
    return subprocess.Popen(
        [sys.executable, SCRIPT, *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_a_stream_grows_from_the_command_line(
    config_file: Path,
    tiny_config: dict[str, Any],
    call: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    run = (config_file, "--work-dir", tmp_path / "run", "--device", "cpu")
    results = tmp_path / "run" / "results.json"
    assert call(*run, "--stop-after", 1)[0] == 0
    assert json.loads(results.read_text())["status"] == "stopped"
    third = {**tiny_config["scenario"]["datasets"][0], "root": "c", "name": "c"}
    tiny_config["scenario"]["datasets"].append(third)
    dump_config(tiny_config, config_file)
    status, said = call(*run, "--resume")
    assert status == 2
    assert "these keys differ: scenario.datasets[2]. They ask for more: continue with --ext" in said
    assert call(*run, "--resume", "--extend")[0] == 2
    assert call(*run, "--extend")[0] == 0
    assert json.loads(results.read_text())["datasets"] == ["a", "b", "c"]
    assert json.loads(results.read_text())["status"] == "finished"
    again = (config_file, "--work-dir", tmp_path / "more", "--device", "cpu")
    assert call(*again, "--start-from", tmp_path / "run")[0] == 0
    assert (tmp_path / "more" / "matrix.csv").read_text() == (
        tmp_path / "run" / "matrix.csv"
    ).read_text()


def test_help_imports_nothing_heavy() -> None:
    found = subprocess.run(
        [sys.executable, "-c", HEAVY], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines()[-1] == "imported: []"
    for option in ("--resume", "--cfg-options", "--datasets", "--scale", "--dpi"):
        assert option in found.stdout


def test_a_misspelt_name_is_told_before_torch_is_imported(config_file: Path) -> None:
    option = "cl_strategy.optimizer.type=AdmW"
    found = subprocess.run(
        [sys.executable, "-X", "importtime", SCRIPT, str(config_file), "--cfg-options", option],
        cwd=config_file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = found.stderr.splitlines()
    imported = {line.split("|")[-1].strip() for line in lines if line.startswith("import time:")}
    told = [line for line in lines if not line.startswith("import time:")]
    assert found.returncode == 2
    assert told == ["error: cl_strategy.optimizer: unknown optimizer 'AdmW'. Did you mean 'AdamW'?"]
    assert "cliqa.config.load" in imported
    assert not imported & {"torch", "avalanche", "mmpretrain"}
    assert not (config_file.parent / "work_dirs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cfg-options", "cl_strategy.optimizer.type=SDG"], "Did you mean 'SGD'?"),
        (["--cfg-options", "cl_strategy.optimiser.lr=1"], "optimizer"),
        (["--cfg-options", "cl_stratgy.train_epochs=1"], "cl_strategy"),
        (["--cfg-options", "cl_strategy.mem_sice=4"], "'mem_sice'. Did you mean 'mem_size'?"),
        (["--cfg-options", "cl_strategy.train_epochs=0"], "cl_strategy.train_epochs"),
        (["--cfg-options", "scenario.dataset_root=nowhere"], "nowhere"),
        (["--cfg-options", "model.head.in_channels=7"], "model.head"),
        (["--cfg-options", "seed"], "seed"),
        (["--cfg-options", "load_from=gone.pth"], "gone.pth: no such checkpoint"),
        (["--resume", "gone.pth"], "--resume gone.pth: no such checkpoint"),
        (["--device", "gpu"], "Use auto, cpu, cuda or cuda:N."),
        (["--device", "cuda:99"], "Use --device auto or cpu."),
    ],
)
def test_mistakes_are_told_in_a_line_and_leave_nothing(
    config_file: Path,
    call: Callable[..., tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(config_file.parent)
    status, told = call(config_file, *options)
    assert status == 2
    assert message in told
    assert "Traceback" not in told
    mistakes = [line for line in told.splitlines() if not line.startswith(" ")]  # or a layout
    assert 1 <= len(mistakes) <= 2
    assert all(line.startswith("error: ") for line in mistakes)
    assert [path.name for path in config_file.parent.iterdir()] == ["tiny.py"]


def test_a_missing_config_is_named(call: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    status, told = call(tmp_path / "nothing.py")
    assert status == 2
    assert "nothing.py" in told
    assert len(told.splitlines()) <= 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_cuda_gets_advice(
    config_file: Path, call: Callable[..., tuple[int, str]]
) -> None:
    told = call(config_file, "--device", "cuda")[1]
    assert told == (
        "error: --device cuda: this machine has no GPU for PyTorch. Use --device auto or cpu.\n"
    )


@pytest.mark.slow
def test_a_run_trains_and_leaves_its_files(config_file: Path) -> None:
    options = ["--cfg-options", "cl_strategy.optimizer.lr=0.002", "cl_strategy.mem_size=6"]
    process = start(
        config_file, "--work-dir", "out/run", "--seed", "3", "--amp", *options,
        folder=config_file.parent,
    )  # fmt: skip
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert "Traceback" not in told
    assert "\r" not in told  # no bar in a pipe
    begun = told.splitlines()
    assert begun[0] == "data     a  train 24, val 4, test 12: 3 steps x 1 epoch"
    assert begun[2].startswith("images   kept in memory: about 61.4 kB once decoded and resized")
    assert begun[3].startswith("model    QualityModel over ResNet 18: ")
    folder = config_file.parent / "out" / "run"
    results = json.loads((folder / "results.json").read_text())
    assert (results["status"], results["seed"]) == ("finished", 3)
    assert results["config"] == str(config_file)
    for name in ("matrix.csv", "metrics.jsonl", "train.log", "metrics.log", "metrics.csv"):
        assert (folder / name).stat().st_size > 0
    assert len(list((folder / "predictions").iterdir())) == 2
    assert list((folder / "figures").glob("*.png"))
    resolved = load_config(folder / "config.py")
    assert resolved["cl_strategy"]["optimizer"]["lr"] == 0.002
    assert resolved["cl_strategy"]["mem_size"] == 6
    assert (resolved["seed"], resolved["amp"]) == (3, True)
    command = json.loads((folder / "run.json").read_text())["command"]
    assert command[0] == "train_config.py"
    assert "--amp" in command
    table = [line.split() for line in told.splitlines()]
    final = [f"{value:.3f}" for value in results["matrix"]["srcc"][1]]
    assert any(words[:2] == ["after", "b"] and set(final) <= set(words) for words in table), told


@pytest.mark.exhaustive  # bars on narrow terminals are tests/utils/test_progress.py's
def test_a_terminal_of_80_columns_shows_bars_that_fit(config_file: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    options = ["--work-dir", "run", "--cfg-options", "loggers.0.type=ProgressBar"]
    process = subprocess.Popen(
        [sys.executable, SCRIPT, str(config_file), *options],
        cwd=config_file.parent,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    told = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(ours, 65536):
            told += part
    os.close(ours)
    assert process.wait() == 0, told
    shown = re.split(r"[\r\n]+", re.sub(r"\x1b\[\w", "", told.decode()))
    bars = [line for line in shown if "%|" in line]
    assert {"train a epoch 1/1", "evaluate b"} <= {line.partition(":")[0] for line in bars}
    assert max(map(len, bars)) <= 80
    assert not [line for line in bars if "epoch 1/1  loss" in line]  # lines of their own


@pytest.mark.exhaustive  # studies are stopped so by default: tests/tools/test_run_seeds.py
def test_sigterm_stops_a_run_and_resume_finishes_it(
    config_file: Path, call: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config_file.parent)
    more = ["--cfg-options", "cl_strategy.train_epochs=6"]
    process = start(config_file, *more, folder=config_file.parent)
    folder = config_file.parent / "work_dirs" / "tiny"
    deadline = time.monotonic() + 120
    while not (folder / "metrics.jsonl").is_file():  # written after the first epoch
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert told.splitlines()[-1] == "stopped by SIGTERM; continue with --resume"
    assert "Traceback" not in told
    assert "stopped by SIGTERM" in (folder / "train.log").read_text()
    before = len((folder / "metrics.jsonl").read_text().splitlines())
    assert before < 12

    status, told = call(config_file, *more, "--resume")
    assert status == 0
    assert f"resumed from work_dirs/tiny/checkpoints/last.pth: 0 experience(s) and {before}" in told
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    epochs = [(row["experience"], row["epoch"]) for row in rows if row["kind"] == "epoch"]
    assert epochs == [(step, epoch) for step in range(2) for epoch in range(1, 7)]
    assert json.loads((folder / "results.json").read_text())["status"] == "finished"


@pytest.mark.slow
def test_torchrun_starts_a_run_that_speaks_with_one_voice(config_file: Path) -> None:
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    own = [SCRIPT, config_file, "--device", "cpu", "--work-dir", "run"]
    ended = subprocess.run(
        [*map(str, launch), *map(str, own)],
        cwd=config_file.parents[1],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    run = config_file.parents[1] / "run"
    assert json.loads((run / "run.json").read_text())["processes"] == 2
    assert json.loads((run / "results.json").read_text())["status"] == "finished"
    told = ended.stdout + ended.stderr
    assert told.count("results: ") == 1
    assert told.count("epoch 1/1") == 2  # of two experiences
    assert "Warning" not in told
