"""``tools/run_seeds.py`` as a user calls it."""

from __future__ import annotations

import copy
import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config, load_config
from cliqa.utils.cli import run_entry_point
from tools.run_seeds import main

pytestmark = pytest.mark.integration

TOOL = Path(__file__).resolve().parents[2] / "tools" / "run_seeds.py"


@pytest.fixture
def folder(tiny_config: dict[str, Any], tmp_path: Path) -> Path:
    """Return a folder with the configs tiny_l2 and tiny_naive of one epoch."""
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    tiny_config["cl_strategy"]["train_epochs"] = 1
    del tiny_config["cl_strategy"]["mem_size"]
    for name, method in (("l2", "L2"), ("naive", "Naive")):
        config = copy.deepcopy(tiny_config)
        config["cl_strategy"]["type"] = method
        dump_config(config, tmp_path / f"tiny_{name}.py")
    return tmp_path


@pytest.fixture
def call(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the tool here, in the folder: exit status, stdout, stderr."""
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> tuple[int, str, str]:
        with warnings.catch_warnings():  # the entry point sets filters
            status = run_entry_point(lambda: main(arguments))
        return status, *capfd.readouterr()

    return run


@pytest.mark.slow
def test_a_study_that_is_stopped_ends_as_an_uninterrupted_one(
    folder: Path, call: Callable[..., tuple[int, str, str]], run_config: Callable[..., Path]
) -> None:
    # two jobs leave each one thread, as this process has: sums are then equal to the bit
    arguments = ["tiny_l2.py", "--no-bracket", "--seeds", "3", "--jobs", "2", "--device", "cpu"]
    out_folder = folder / "work_dirs" / "study"
    checkpoint = out_folder / "tiny_l2" / "seed_3" / "checkpoints" / "last.pth"

    def stop() -> None:
        while not checkpoint.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    status, _, told = call(*arguments)
    assert status == 130, told
    assert "stopped by SIGINT; the same command continues where it was stopped" in told
    status, out, told = call(*arguments)
    assert status == 0, told
    lines = out.splitlines()
    assert lines[0] == "Final SRCC, mean ± 95 % interval"
    assert lines[3].split()[:2] == ["tiny_l2", "1"]
    assert lines[-4:] == [f"work_dirs/study/study.{s}" for s in ("json", "md", "csv", "png")]
    with (out_folder / "study.csv").open() as file:
        (row,) = csv.DictReader(file)
    results = json.loads((out_folder / "tiny_l2" / "seed_3" / "results.json").read_text())
    assert float(row["msrcc"]) == results["summary"]["msrcc"]
    whole = run_config(load_config(folder / "tiny_l2.py"), seed=3)
    uninterrupted = json.loads((whole / "results.json").read_text())
    assert results["matrix"] == uninterrupted["matrix"]


def test_failed_runs_are_listed_and_the_status_tells(
    folder: Path, call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "train_config.py").write_text("import sys; sys.exit('error: nowhere: no such data')")
    monkeypatch.setattr("tools.run_seeds.ROOT", folder)
    arguments = ["tiny_l2.py", "--no-bracket", "--seeds", "0", "--device", "cpu", "--out", "out"]
    status, out, told = call(*arguments)
    assert status == 1
    assert out == ""
    last = told.splitlines()[-1]
    assert last.startswith("failed: tiny_l2, seed 0: ")
    assert "nowhere" in last
    assert last.endswith("(see out/tiny_l2/seed_0.log)")


def test_help_needs_no_torch() -> None:
    code = "import sys; sys.argv = ['run_seeds.py', '--help']; import runpy\n"
    code += f"try: runpy.run_path({str(TOOL)!r}, run_name='__main__')\n"
    code += "finally: print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "False"
    assert "--orders" in found.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "--jobs 0: must be at least 1."),
        (["--seeds", "0", "-1"], "--seeds -1: a seed is an integer >= 0."),
        (["--seeds", "1", "1"], "--seeds: 1 is given twice."),
        (["--no-bracket", "--naive", "tiny_naive.py"], "--no-bracket and --naive or --joint"),
        (["--naive", "gone.py"], "gone.py"),
        (["--orders", "a,b", "b,c"], "--orders b,c: must name each data set of tiny_l2.py once"),
        (["--device", "gpu"], "--device gpu: unknown device."),
        (["--cfg-options", "cl_strategy.strenght=1"], "strenght"),
    ],
)
def test_mistakes_are_told_in_a_line_and_leave_nothing(
    arguments: list[str], message: str, call: Callable[..., tuple[int, str, str]]
) -> None:
    status, _, told = call("tiny_l2.py", *arguments)
    assert status == 2
    assert message in told
    assert "Traceback" not in told
    assert not Path("work_dirs").exists()
