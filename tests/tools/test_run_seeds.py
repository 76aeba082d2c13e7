"""``tools/run_seeds.py`` as a user calls it."""

from __future__ import annotations

import copy
import csv
import json
import signal
import subprocess
import sys
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


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the tool in a folder."""
    return subprocess.Popen(
        [sys.executable, str(TOOL), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_study_that_is_stopped_ends_as_an_uninterrupted_one(
    folder: Path, run_config: Callable[..., Path]
) -> None:
    arguments = ["tiny_l2.py", "--seeds", "3", "--jobs", "2", "--device", "cpu"]
    first = start(folder, *arguments)
    checkpoint = folder / "work_dirs" / "study" / "tiny_l2" / "seed_3" / "checkpoints" / "last.pth"
    while not checkpoint.exists() and first.poll() is None:
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    out, told = first.communicate(timeout=60)
    assert first.returncode == 130, told
    assert "stopped by SIGINT; the same command continues where it was stopped" in told
    second = start(folder, *arguments)
    out, told = second.communicate(timeout=300)
    assert second.returncode == 0, told
    lines = out.splitlines()
    assert lines[0] == "Final SRCC, mean ± 95 % interval"
    assert [line.split()[:2] for line in lines[3:5]] == [["tiny_naive", "1"], ["tiny_l2", "1"]]
    out_folder = folder / "work_dirs" / "study"
    assert lines[-4:] == [f"work_dirs/study/study.{s}" for s in ("json", "md", "csv", "png")]
    study = json.loads((out_folder / "study.json").read_text())
    assert (study["naive"], study["joint"]) == ("tiny_naive", None)
    with (out_folder / "study.csv").open() as file:
        rows = list(csv.DictReader(file))
    results = {
        row["config"]: json.loads(
            (out_folder / row["config"] / "seed_3" / "results.json").read_text()
        )
        for row in rows
    }
    for row in rows:
        assert float(row["msrcc"]) == results[row["config"]]["summary"]["msrcc"]
    whole = run_config(load_config(folder / "tiny_l2.py"), seed=3)
    uninterrupted = json.loads((whole / "results.json").read_text())
    assert results["tiny_l2"]["matrix"] == uninterrupted["matrix"]


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
def test_failed_runs_are_listed_and_the_status_tells(
    call: Callable[..., tuple[int, str, str]],
) -> None:
    arguments = ["tiny_l2.py", "--no-bracket", "--seeds", "0", "--device", "cpu", "--out", "out"]
    status, out, told = call(*arguments, "--cfg-options", "scenario.dataset_root=nowhere")
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
