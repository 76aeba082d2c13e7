"""``tools/four_phases.py`` as a user calls it."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cliqa.commands.studies.four_phases import main
from cliqa.compress import phases as compress_phases
from cliqa.config.load import dump_config
from cliqa.demo_data.fashion import FashionData
from cliqa.studies import phases as study_phases
from cliqa.studies.phases import ARMS, plan_phases
from tests.commands.calls import Call, called

pytestmark = pytest.mark.integration

SHIM = Path(__file__).resolve().parents[3] / "tools" / "four_phases.py"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a tiny data set of digits."""
    FashionData(train=40, test=20).write(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def call(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs the command here, into ``out``: status, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        return called(main, capfd, "--out", tmp_path / "out", "--device", "cpu", *arguments)

    return run


@pytest.fixture
def two_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the arms that share one run: replay, in float and in eight bits."""
    short = tuple(arm for arm in ARMS if arm.config == "fmnist_replay")
    for module in (compress_phases, study_phases):
        monkeypatch.setattr(module, "ARMS", short)


@pytest.mark.slow
@pytest.mark.usefixtures("forked_runs", "quick_exports", "two_arms")
def test_a_study_that_is_stopped_goes_on_and_keeps_what_has_finished(
    data: Path, tmp_path: Path, call: Call
) -> None:
    pytest.importorskip("onnxruntime")
    arguments = ["--data", str(data), "--seeds", "1", "2", "--epochs", "1", "--rounds", "1"]
    arguments += ["--cfg-options", "deploy.images=32"]
    folders = [tmp_path / "out" / "fmnist_replay" / f"seed_{seed}" for seed in (1, 2)]
    first = folders[0] / "deploy" / "deployments.json"

    def stop() -> None:
        while not (folders[1] / "run.json").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    status, _, told = call(*arguments)
    assert status == 130, told
    kept = first.stat().st_mtime_ns
    status, out, told = call(*arguments)
    assert status == 0, told
    assert "1 of 2 runs have finished before and are kept" in told
    assert first.stat().st_mtime_ns == kept
    lines = out.splitlines()
    assert lines[-4:] == [
        str(tmp_path / "out" / f"four_phases.{end}") for end in ("json", "md", "csv", "png")
    ]
    found = json.loads((tmp_path / "out" / "four_phases.json").read_text())
    assert (found["about"]["epochs"], found["about"]["rounds"]) == (1, 1)
    rows = {row["arm"]: row["columns"] for row in found["rows"]}
    for place, folder in enumerate(folders):
        own = json.loads((folder / "results.json").read_text())
        key = f"seed {place + 1}"
        shown = {name: column["values"][key] for name, column in rows["er"].items()}
        summary = own["summary"]
        assert shown["accuracy"] == pytest.approx(summary["average_accuracy"])
        assert shown["accuracy_task_il"] == pytest.approx(summary["average_accuracy_task_il"])
        assert shown["forgetting"] == pytest.approx(summary["forgetting"])
        assert shown["trainable"] == 29066  # 160 + 4640 + 18496 + 5770
        assert shown["train_cpu_s"] == pytest.approx(sum(own["seconds"]["train_cpu"]))
        assert shown["train_cpu_s"] > 0
        assert shown["fps_1"] > 0
    assert rows["er_int8"]["mib"]["mean"] < rows["er"]["mib"]["mean"]
    assert rows["er_int8"]["train_s"] == rows["er"]["train_s"]  # one run
    with (tmp_path / "out" / "four_phases.csv").open() as file:
        assert [row["arm"] for row in csv.DictReader(file)] == ["er", "er_int8"]


@pytest.mark.exhaustive  # the stopped study shows the rest with two arms
@pytest.mark.usefixtures("forked_runs", "quick_exports")
def test_all_arms_in_one_command(data: Path, tmp_path: Path, call: Call) -> None:
    pytest.importorskip("onnxruntime")
    status, out, told = call(
        *("--data", str(data), "--quick", "--epochs", "1", "--rounds", "1", "--jobs", "2"),
        *("--cfg-options", "deploy.images=32"),
    )
    assert status == 0, told
    table = out.split("\n\n")[0].splitlines()
    assert [line[:16].strip() for line in table[3:]] == [arm.label for arm in ARMS]
    found = json.loads((tmp_path / "out" / "four_phases.json").read_text())
    trained = {row["arm"]: row["columns"]["trainable"]["mean"] for row in found["rows"]}
    assert trained["lora_er"] < trained["er"] == trained["finetune"] < trained["full_stack"]


def test_missing_data_are_told_before_any_work(tmp_path: Path, call: Call) -> None:
    status, _, told = call("--data", str(tmp_path / "nowhere"), "--quick")
    assert status == 2
    assert "Fashion-MNIST needs train-images-idx3-ubyte" in told
    assert "Add --download on a machine with a network" in told
    assert "cliqa data fashion --out" in told
    assert not (tmp_path / "out").exists()


def test_a_study_of_other_settings_is_kept_apart(data: Path, tmp_path: Path, call: Call) -> None:
    folder = tmp_path / "out" / "fmnist_naive" / "seed_0"
    plan = plan_phases([0], tmp_path / "out", epochs=2, data=str(data))
    folder.mkdir(parents=True)
    dump_config(dict(plan.runs[0].config), folder / "config.py")
    status, _, told = call("--data", str(data), "--quick")
    assert status == 2
    assert f"{folder}: holds a run of another config; these keys differ" in told
    assert "cl_strategy.train_epochs" in told


def test_data_are_downloaded_once_where_that_is_asked_for(
    data: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def read(root: object, download: bool = False) -> None:
        asked.append((root, download))

    monkeypatch.setattr("cliqa.datasets.classes.fashion_mnist.read_fashion_mnist", read)
    monkeypatch.setattr("cliqa.studies.study.run_study", lambda *_, **__: [])
    assert call("--data", str(data), "--download", "--quick")[0] == 0
    assert asked == [(str(data), True)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--epochs", "0"], "--epochs 0: must be at least 1"),
        (["--rounds", "0"], "--rounds 0: must be at least 1"),
        (["--seeds", "x"], "--seeds x: a seed is an integer >= 0"),
        (["--seeds", "1", "1"], "--seeds: 1 is given twice"),
        (["--jobs", "0"], "--jobs 0: must be at least 1"),
        (["--cfg-options", "cl_strategy.train_epoch=1"], "train_epoch"),
    ],
)
def test_mistakes_are_told(arguments: list[str], text: str, tmp_path: Path, call: Call) -> None:
    status, _, told = call(*arguments)
    assert status == 2
    assert text in told
    assert not (tmp_path / "out").exists()


def test_the_script_starts_the_command_without_heavy_imports() -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{str(SHIM)!r}, '--help']\n"
        "try:\n    runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n    assert not {'torch', 'avalanche', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "seeds of the runs (default: 0 1 2 3 4)" in done.stdout
