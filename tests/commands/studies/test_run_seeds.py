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

from cliqa.commands.studies.run_seeds import main
from cliqa.config.load import dump_config, load_config
from cliqa.utils.cli import run_entry_point

pytestmark = pytest.mark.integration

TOOL = Path(__file__).resolve().parents[3] / "tools" / "run_seeds.py"


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


@pytest.mark.usefixtures("forked_runs")
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


@pytest.fixture
def stages(tiny_config: dict[str, Any], folder: Path) -> Path:
    """Return the folder with the configs of a pretraining and of a run that it starts."""
    del tiny_config["scenario"]["datasets"][1:]
    tiny_config["scenario"]["eval_transform"].insert(0, {"type": "Resize", "size": (16, 16)})
    shared = {key: tiny_config[key] for key in ("scenario", "model", "seed")}
    data = {"crop_size": 12, "families": ["blur"], "num_levels": 2, "held_out": 4}
    parts = {"anchors": {"anchors": "antipodal", "dim": 8}, "projection": {"hidden": 8}}
    first = {"data": data, **parts, "epochs": 2, "batch_size": 4}
    dump_config({**shared, "pretrain": first}, folder / "stage.py")
    tiny_config["load_from"] = {"path": "nowhere.pth", "drop": ["head"]}
    tiny_config["deploy"] = {"target": "size", "backends": ["onnxruntime"], "rounds": 1}
    dump_config(tiny_config, folder / "tuned.py")
    return folder


@pytest.mark.usefixtures("forked_runs", "quick_exports")
def test_both_stages_and_the_deployed_files_in_one_command(
    stages: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    pytest.importorskip("onnxruntime")
    arguments = ["tuned.py", "--seeds", "5", "--no-bracket", "--device", "cpu", "--out", "out"]
    status, _, told = call(*arguments)
    assert status == 2
    assert "tuned.py: load_from: nowhere.pth is missing. Train it first" in told
    assert not (stages / "out").exists()
    arguments += ["--pretraining", "stage.py", "--labels", "Plain & short", "--format", "latex"]
    arguments += ["--arm", "short", "pretrain.epochs=1", "cl_strategy.train_epochs=1"]
    status, out, told = call(*arguments)
    assert status == 0, told
    assert r"Plain \& short" in out
    assert "out/study.tex" in out.splitlines()
    study = json.loads((stages / "out" / "study.json").read_text())
    (row,) = study["deployed"]
    folder = stages / "out" / "tuned_short" / "seed_5"
    own = json.loads((folder / "results.json").read_text())
    columns = {name: column["mean"] for name, column in row["columns"].items()}
    assert columns["float_quality"] == pytest.approx(own["summary"]["msrcc"], abs=1e-6)
    assert columns["deployed_mib"] < columns["float_mib"]
    first = stages / "out" / "stage_short" / "seed_5"
    start = json.loads((folder / "run.json").read_text())["start"]
    assert start["path"].endswith("out/stage_short/seed_5/checkpoints/encoder.pth")
    assert len((first / "metrics.jsonl").read_text().splitlines()) == 1
    (first / "checkpoints" / "encoder.pth").unlink()  # no run needs it any more
    deployments = folder / "deploy" / "deployments.json"
    before = deployments.stat().st_mtime_ns
    assert call(*arguments)[0] == 0
    assert deployments.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--labels", "a", "b"], "--labels: 2 for the rows tiny_l2. Give one for each"),
        (["--arm", "x", "y"], "--arm x: 'y' is no KEY=VALUE"),
        (["--pretraining", "tiny_naive.py"], "tiny_naive.py: has no section pretrain"),
    ],
)
def test_wrong_rows_are_told(
    call: Callable[..., tuple[int, str, str]], arguments: list[str], text: str
) -> None:
    status, _, told = call("tiny_l2.py", "--no-bracket", "--device", "cpu", *arguments)
    assert status == 2
    assert text in told


def test_failed_runs_are_listed_and_the_status_tells(
    folder: Path, call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = folder / "failing.py"
    failing.write_text("import sys; sys.exit('error: nowhere: no such data')")
    monkeypatch.setattr("cliqa.studies.backends.commands.TRAIN", (failing,))
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
        (["--address", "auto"], "--address: belongs to --backend ray, not to local."),
        (["--backend", "ray", "--address", "head"], "--address head: expected HOST:PORT"),
        (["--backend", "submitit", "--slurm", "time"], "--slurm time: expected KEY=VALUE"),
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


def test_a_dry_run_tells_the_cost_and_writes_nothing(
    folder: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    arguments = ["tiny_l2.py", "--no-bracket", "--seeds", "0", "1", "--device", "cpu", "--dry-run"]
    before = sorted(folder.rglob("*"))
    status, out, told = call(*arguments, "--machines", "2", "--speedup", "2", "--jobs", "2")
    assert status == 0, told
    assert out.splitlines()[3].split()[:3] == ["tiny_l2", "2", "6"]
    assert "2 of 2 runs are left: about" in out
    assert "on 2 jobs on each of 2 machines" in out
    assert sorted(folder.rglob("*")) == before
    status, _, told = call("tiny_l2.py", "--no-bracket", "--speedup", "2")
    assert (status, "--machines and --speedup are for --dry-run" in told) == (2, True)
