"""A study on a cluster of two nodes, one of which is lost, and clusters that cannot be used."""

from __future__ import annotations

import copy
import json
import logging
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import dump_config
from cliqa.engine.interrupts import Interrupted
from cliqa.studies.backends.commands import TRAIN, Command
from cliqa.studies.backends.local import Local
from cliqa.studies.backends.ray import Cluster, check_address, check_resources, connected
from cliqa.studies.bracket import Bracket
from cliqa.studies.plan import Plan, plan_study
from cliqa.studies.study import run_study, write_study
from cliqa.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]

HANGING = f"""
import pathlib, runpy, sys, time
sys.path.insert(0, {str(ROOT)!r})
from cliqa.engine.work_dir.saving import Saving
here, save, saved = pathlib.Path(__file__).parent, Saving.save, []
def hang(self, *given):
    save(self, *given)
    saved.append(0)
    chosen = here / ("hang_" + sys.argv[sys.argv.index("--seed") + 1])
    if len(saved) == 2 and chosen.exists() and not (here / "lost").exists():
        self.wait()
        (here / "reached").touch()
        time.sleep(3600)
Saving.save = hang
sys.argv[0] = {str(ROOT / "train_config.py")!r}
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""The entry point; a chosen run hangs after two checkpoints until its node is lost."""


@pytest.fixture
def plans(tiny_config: dict[str, Any], tmp_path: Path) -> dict[str, Plan]:
    """Return the plan of a study of two seeds, once for each backend."""
    config = copy.deepcopy(tiny_config)
    config["scenario"]["datasets"] = config["scenario"]["datasets"][:2]
    config["cl_strategy"]["train_epochs"] = 2
    dump_config(config, tmp_path / "tiny.py")
    file, bracket = tmp_path / "tiny.py", Bracket(look=False)
    return {
        name: plan_study([file], [0, 1], tmp_path / name, bracket=bracket)
        for name in ("local", "ray")
    }


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Return a cluster of two nodes of one processor; the first is this process's."""
    utils = pytest.importorskip("ray.cluster_utils")
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 300}
    quick["health_check_failure_threshold"] = 3
    head = {**small, "include_dashboard": False, "_system_config": quick}
    made = utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        made.second = made.add_node(**small)
        made.wait_for_nodes()
        yield made
    finally:
        __import__("ray").shutdown()
        made.shutdown()


def values_of(folder: Path, name: str) -> str:
    """Return a study's file without its times."""
    text = (folder / name).read_text()
    return re.sub(r'("seconds|"time)[^\]}]*[\]}]', "", text)


def learnt(folder: Path) -> list[tuple[Any, ...]]:
    """Return what a run has done, step by step: none is missing, and none was done twice."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    keys = ("kind", "experience", "epoch", "dataset", "loss", "srcc")
    return [tuple(row.get(key) for key in keys) for row in rows]


@pytest.mark.slow
@pytest.mark.usefixtures("forked_runs")
def test_a_study_survives_the_loss_of_a_node_and_is_the_one_of_this_machine(
    plans: dict[str, Plan],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("ray")
    caplog.set_level(logging.INFO)
    assert run_study(plans["local"], TRAIN, Local(2), device="cpu") == []
    cluster = request.getfixturevalue("cluster")
    script = tmp_path / "hanging.py"
    script.write_text(HANGING)
    lost: list[int] = []

    def lose() -> None:
        second = re.escape(cluster.second.node_id[:6])
        while not (found := re.search(rf"tiny, seed (\d): on \S+-{second}", caplog.text)):
            time.sleep(0.05)
        (tmp_path / f"hang_{found[1]}").touch()
        while not (tmp_path / "reached").exists():
            time.sleep(0.05)
        (tmp_path / "lost").touch()
        cluster.remove_node(cluster.second, allow_graceful=False)
        lost.append(int(found[1]))

    thread = threading.Thread(target=lose)
    with connected(Cluster(cluster.address, gpus=0), plans["ray"].out) as backend:
        thread.start()
        assert run_study(plans["ray"], [script], backend, device="cpu") == []
    thread.join()
    (moved,) = lost
    told = [record.getMessage() for record in caplog.records]
    attempts = [line for line in told if re.match(r"tiny, seed \d: (on|finished)", line)][-5:]
    assert sum(line.startswith(f"tiny, seed {1 - moved}: on") for line in attempts) == 1
    assert sum(": the one before was lost" in line for line in attempts) == 1
    assert sum(line.endswith(": finished") for line in attempts) == 2
    for plan in plans.values():
        write_study(plan)
    for name in ("study.json", "study.md", "study.csv"):
        assert values_of(plans["ray"].out, name) == values_of(plans["local"].out, name)
    for place, run in enumerate(plans["ray"].runs):
        log = (run.folder / "train.log").read_text()
        assert log.count("resumed from ") == (place == moved)
    for one, other in zip(plans["local"].runs, plans["ray"].runs, strict=True):
        first, second = (json.loads((r.folder / "results.json").read_text()) for r in (one, other))
        assert first["matrix"] == second["matrix"]
        assert learnt(one.folder) == learnt(other.folder)
    assert sorted(path.name for path in plans["ray"].out.iterdir()) == sorted(
        path.name for path in plans["local"].out.iterdir()
    )


@pytest.mark.slow
def test_a_study_that_is_stopped_goes_on_from_its_storage(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "out"
    out.mkdir()
    script = tmp_path / "train.py"
    script.write_text(
        "import pathlib, signal, sys, time\n"
        "folder = pathlib.Path(sys.argv[-1])\nfolder.mkdir(parents=True, exist_ok=True)\n"
        "def stop(*_):\n    (folder / 'saved').touch(); print('error: stopped'); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\n(folder / 'results.json').touch()\n"
        "if (pathlib.Path(__file__).parent / 'slow').exists(): time.sleep(600)\n"
    )
    words = (sys.executable, str(script), str(script), "--work-dir")
    commands = [
        Command((*words, str(out / name)), out / f"{name}.log", name, out / name) for name in "abc"
    ]
    ended: list[tuple[int, int]] = []
    with connected(Cluster(storage=f"file://{tmp_path}/kept"), out) as backend:
        (tmp_path / "slow").touch()
        threading.Thread(target=stop_when_both, args=(tmp_path / "kept" / "out",)).start()
        with pytest.raises(Interrupted, match="the same command continues"):
            backend.run(commands, lambda *end: ended.append(end))
    assert ended == []
    assert {path.name for path in out.iterdir()} == set()
    (tmp_path / "slow").unlink()
    with connected(Cluster(storage=f"file://{tmp_path}/kept"), out) as backend:
        backend.run(commands, lambda *end: ended.append(end))
    assert sorted(ended) == [(0, 0), (1, 0), (2, 0)]
    assert (out / "a" / "saved").exists()
    assert (out / "c" / "results.json").exists()


def stop_when_both(kept: Path) -> None:
    """Send SIGINT once two runs have begun."""
    while len(list(kept.glob("*/owner"))) < 2:
        time.sleep(0.05)
    time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("gpus", "cpus", "message"),
    [
        (1.0, 1, None),
        (0.5, 4, None),
        (4.0, 1, r"--gpus-per-run 4: no node of the cluster has so many; the most is 2 GPU"),
        (0.0, 64, r"--cpus-per-run 64: no node of the cluster has so many; the most is 16 CPU"),
        (1.0, 16, r"--gpus-per-run 1 --cpus-per-run 16: no node has both at once"),
    ],
)
def test_what_no_node_has_is_refused(gpus: float, cpus: int, message: str | None) -> None:
    nodes = [{"CPU": 16.0}, {"CPU": 4.0, "GPU": 2.0}]
    if message is None:
        check_resources(nodes, gpus, cpus)
        return
    with pytest.raises(ConfigError, match=message):
        check_resources(nodes, gpus, cpus)


def test_addresses_at_which_nothing_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    check_address("auto")  # Ray says that there is none
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--address 127.0.0.1:{port}: nothing answers"):
            check_address(f"127.0.0.1:{port}")
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
        with pytest.raises(ConfigError, match="--address auto: nothing answers there"):
            check_address("auto")
    for address in ("ray://head:10001", "head", "head:x"):
        with pytest.raises(ConfigError, match=r"expected HOST:PORT as ray start --head prints it"):
            check_address(address)
