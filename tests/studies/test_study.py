"""A study run by a stand-in for the entry point: kept, resumed, failed and summed up."""

from __future__ import annotations

import copy
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config
from cliqa.engine.interrupts import Interrupted
from cliqa.studies.backends.local import Local
from cliqa.studies.plan import Plan, plan_study
from cliqa.studies.study import finished_runs, run_study, write_study
from cliqa.utils.errors import ArtifactError, ConfigError, EvaluationError
from cliqa.utils.locks import folder_lock

SCRIPT = """
import argparse, json, os, pathlib, signal, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("config")
parser.add_argument("--seed", type=int)
for name in ("--work-dir", "--device", "--resume"):
    parser.add_argument(name)
args = parser.parse_args()
here, out = pathlib.Path(__file__).parent, pathlib.Path(args.work_dir)
name = pathlib.Path(args.config).stem
with (here / "started").open("a") as file:
    print(name, args.seed, args.device, args.resume, file=file)
out.mkdir(parents=True, exist_ok=True)
config = pathlib.Path(args.config).read_text() + f"\\nseed = {args.seed}\\namp = False\\n"
(out / "config.py").write_text(config)
if (here / f"bad_{name}_{args.seed}").exists():
    print("error: the data are bad", file=sys.stderr)
    print("epilogue", file=sys.stderr)
    sys.exit(2)
if (here / f"crash_{name}_{args.seed}").exists():
    raise RuntimeError("out of memory")
if (here / f"kill_{name}_{args.seed}").exists():
    os.kill(os.getpid(), signal.SIGKILL)
while (here / "slow").exists():
    time.sleep(0.02)
value = {"x_naive": 0.2, "x_joint": 0.8}.get(name, 0.5) + 0.01 * args.seed
result = dict(status="finished", seed=args.seed, experiences=["a", "b"], datasets=["a", "b"])
result |= dict(joint=name == "x_joint", matrix=dict(srcc=[[value, value]]))
result |= dict(summary=dict(msrcc=value), seconds=dict(train=[2.0]), config=args.config)
(out / "results.json").write_text(json.dumps(result))
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return a program with the entry point's arguments that trains nothing."""
    path = tmp_path / "train.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def plan(tmp_path: Path, tiny_config: dict[str, Any]) -> Plan:
    """Return the plan of a method with its bounds over two seeds."""
    for name, method in (("x_l2", "L2"), ("x_naive", "Naive"), ("x_joint", "JointTraining")):
        config = copy.deepcopy(tiny_config)
        config["cl_strategy"].pop("mem_size")
        config["cl_strategy"]["type"] = method
        dump_config(config, tmp_path / f"{name}.py")
    return plan_study([tmp_path / "x_l2.py"], [0, 1], tmp_path / "out")


def started(tmp_path: Path) -> list[str]:
    """Return what was started so far, and forget it."""
    path = tmp_path / "started"
    lines = sorted(path.read_text().splitlines()) if path.exists() else []
    path.unlink(missing_ok=True)
    return lines


def test_all_runs_and_the_table_of_them(plan: Plan, script: Path, tmp_path: Path) -> None:
    assert run_study(plan, [script], Local(3), device="cpu") == []
    assert started(tmp_path) == [
        f"{name} {seed} cpu auto" for name in ("x_joint", "x_l2", "x_naive") for seed in (0, 1)
    ]
    study, files = write_study(plan)
    assert [row["config"] for row in study["rows"]] == ["x_naive", "x_l2", "x_joint"]
    gap = study["rows"][1]["columns"]["gap_closed"]
    assert gap["mean"] == pytest.approx(0.5)
    assert [file.name for file in files] == ["study.json", "study.md", "study.csv", "study.png"]
    assert json.loads(files[0].read_text()) == study
    assert "| x_l2 | 2 | 0.505 ±0.064 | 0.50 ±0.00 |" in " ".join(files[1].read_text().split())
    assert files[2].read_text().startswith("config,runs,msrcc,msrcc_low,msrcc_high,gap_closed,")
    assert files[3].stat().st_size > 1000
    assert run_study(plan, [script], device="cpu") == []  # all are kept
    assert started(tmp_path) == []


def test_failures_stop_nobody_else(plan: Plan, script: Path, tmp_path: Path) -> None:
    for mistake in ("bad_x_l2_0", "crash_x_l2_1", "kill_x_joint_1"):
        (tmp_path / mistake).touch()
    failures = run_study(plan, [script], Local(2))
    assert sorted(map(str, failures)) == [
        f"x_joint, seed 1: killed by SIGKILL (see {tmp_path}/out/x_joint/seed_1.log)",
        f"x_l2, seed 0: the data are bad (see {tmp_path}/out/x_l2/seed_0.log)",
        f"x_l2, seed 1: RuntimeError: out of memory (see {tmp_path}/out/x_l2/seed_1.log)",
    ]
    found = finished_runs(plan)
    assert {name: list(runs) for name, runs in found.items()} == {
        "x_l2": [],
        "x_naive": ["seed 0", "seed 1"],
        "x_joint": ["seed 0"],
    }
    study, _ = write_study(plan)
    assert "x_l2: not finished: seed 0, seed 1" in study["notes"]
    started(tmp_path)
    (tmp_path / "bad_x_l2_0").unlink()
    assert len(run_study(plan, [script], Local(2))) == 2
    assert len(started(tmp_path)) == 3  # what had finished is kept


def test_a_study_that_is_stopped_resumes(plan: Plan, script: Path, tmp_path: Path) -> None:
    (tmp_path / "slow").touch()

    def stop() -> None:
        while not (tmp_path / "out" / "x_l2" / "seed_0" / "config.py").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        run_study(plan, [script])
    thread.join()
    assert started(tmp_path) == ["x_l2 0 auto auto"]
    (tmp_path / "slow").unlink()
    assert run_study(plan, [script], Local(3)) == []
    assert len(started(tmp_path)) == 6
    with folder_lock(plan.out) as free:
        assert free


def test_mistakes_before_anything_runs(plan: Plan, script: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--jobs 0: must be at least 1"):
        run_study(plan, [script], Local(0))
    with pytest.raises(EvaluationError, match="no run of the study has finished"):
        write_study(plan)
    plan.out.mkdir()
    with folder_lock(plan.out), pytest.raises(ArtifactError, match="another study is running"):
        run_study(plan, [script])
    run = plan.runs[-1]
    dump_config({**run.config, "seed": 7}, run.folder / "config.py")
    with pytest.raises(ConfigError, match=r"holds a run of another config.*: seed"):
        run_study(plan, [script])
    assert started(tmp_path) == []


def test_a_run_that_says_nothing(plan: Plan, tmp_path: Path) -> None:
    script = tmp_path / "silent.py"
    script.write_text("import sys; sys.exit(5)")
    failures = run_study(plan, [script], Local(3))
    assert {failure.reason for failure in failures} == {"exit status 5"}
    script.write_text("")  # a run that ends well and leaves nothing has failed too
    assert {failure.reason for failure in run_study(plan, [script], Local(3))} == {"exit status 0"}
