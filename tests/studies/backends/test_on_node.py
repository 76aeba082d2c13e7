"""One run on a node: refused nodes, locks, stops, lost parents, and copies to a storage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cliqa.studies.backends.commands import TRAIN as TRAIN_MODULE
from cliqa.studies.backends.commands import Command
from cliqa.studies.backends.jobs import TOKEN, Job, driver_token
from cliqa.studies.backends.kept_runs import take
from cliqa.studies.backends.on_node import RunOnNode, _files_of, progress_of
from cliqa.studies.backends.storage import Storage
from cliqa.utils.locks import folder_lock
from cliqa.utils.system.python_process import python_command

TRAIN = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[sys.argv.index("--work-dir") + 1])
last = folder / "checkpoints" / "last.pth"
last.parent.mkdir(parents=True, exist_ok=True)
done = int(last.read_text()) if last.is_file() else 0
print("resumes at", done, flush=True)
def save(*_):
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
here = pathlib.Path(__file__).parent
while done < 6:
    done += 1
    temporary = last.with_name(".new")
    temporary.write_text(str(done))
    temporary.rename(last)
    while done == 3 and (here / "slow").exists():
        time.sleep(0.02)
(folder / "results.json").write_text("{}")
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """Return the job of a stand-in for a run, in a study whose driver is here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cliqa.studies.backends.on_node.TELL", 0.02)
    monkeypatch.setattr("cliqa.studies.backends.on_node.SEEN", 0.1)
    monkeypatch.setattr("cliqa.studies.backends.kept_runs.COPY", 0.0)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "config.py").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / TOKEN).write_text("mine")
    folder = Path("out") / "x" / "seed_0"
    arguments = (sys.executable, "train.py", "config.py", "--work-dir", str(folder))
    command = Command(arguments, folder.with_name("seed_0.log"), "x, seed 0", folder)
    return Job.of(command, Path("out"), "mine", {"OMP_NUM_THREADS": "1"})


def goes_on(_: str) -> bool:
    """Take a report."""
    return False


def stops_when(found: Callable[[], bool]) -> Callable[[str], bool]:
    """Return what asks a run to stop."""
    return lambda _: found()


def test_a_run_leaves_its_work_dir_and_its_output(job: Job) -> None:
    assert Job(**job.to_dict()) == job
    assert RunOnNode(job, goes_on).run() == {"status": 0, "refused": ""}
    assert Path(job.log).read_text() == "resumes at 0\n"
    assert Path(job.folder, "results.json").is_file()


def test_a_run_that_is_asked_to_stop_keeps_its_checkpoint_and_goes_on(job: Job) -> None:
    Path("slow").touch()
    last = Path(job.folder, "checkpoints", "last.pth")
    outcome = RunOnNode(job, stops_when(lambda: last.is_file() and last.read_text() == "3")).run()
    assert outcome == {"status": 143, "refused": ""}
    Path("slow").unlink()
    assert RunOnNode(job, goes_on).run()["status"] == 0
    assert Path(job.log).read_text() == "resumes at 3\n"


def test_nodes_that_lack_something_say_what(job: Job) -> None:
    (Path("out") / TOKEN).write_text("of another driver")
    refused = RunOnNode(job, goes_on).run()["refused"]
    assert "does not see the study's folder" in refused
    assert "file system that all nodes share, or give --storage URL" in refused
    Path("config.py").unlink()
    refused = RunOnNode(job, goes_on).run()["refused"]
    assert "has no config.py (seen from " in refused
    assert "must lie at the same paths on all nodes" in refused
    refused = RunOnNode(replace(job, cwd="/nowhere"), goes_on).run()["refused"]
    assert "has no folder /nowhere" in refused
    assert not Path(job.folder).exists()


def test_options_and_modules_of_a_command_are_no_files_that_a_node_must_have(job: Job) -> None:
    folder = ["--work-dir", job.folder, "--cfg-options", "scenario.file=other.py"]
    wanted = replace(job, arguments=(*python_command(*TRAIN_MODULE, "config.py"), *folder))
    assert _files_of(wanted.arguments) == [sys.executable, "config.py"]
    Path("config.py").unlink()
    assert "has no config.py (seen from " in RunOnNode(wanted, goes_on).run()["refused"]


def test_a_held_lock_is_waited_for(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(job.folder)
    folder.mkdir(parents=True)
    told: list[str] = []
    code = "import sys, time; from cliqa.utils.locks import folder_lock\n"
    code += "with folder_lock(sys.argv[1]): print(flush=True); time.sleep(60)"
    command = [sys.executable, "-c", code, str(folder)]
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": root}) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        def tell(note: str) -> bool:
            told.append(note)
            if told.count("waits for the lock") == 2:
                holder.kill()  # a lock ends with its process
            return False

        assert RunOnNode(job, tell).run()["status"] == 0
    assert told[0] == "waits for the lock"
    monkeypatch.setattr("cliqa.studies.backends.on_node.LOCK", 0.0)
    with folder_lock(folder):
        assert RunOnNode(job, goes_on).run() == {"status": 1, "refused": ""}
    assert "its lock is held for 0 s. If no process trains in it any more" in (
        Path(job.log).read_text()
    )


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise")
def test_a_run_ends_with_the_process_that_started_it(job: Job) -> None:
    Path("slow").touch()
    code = "import json, sys; from cliqa.studies.backends.jobs import Job\n"
    code += "from cliqa.studies.backends.on_node import RunOnNode\n"
    code += "RunOnNode(Job(**json.loads(sys.argv[1])), lambda _: False).run()"
    root = str(Path(__file__).resolve().parents[3])
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", code, json.dumps(job.to_dict())]
    last = Path(job.folder, "checkpoints", "last.pth")
    with subprocess.Popen(command, env=environment) as worker:
        while not (last.is_file() and last.read_text() == "3"):
            time.sleep(0.02)
        assert runs_of(job)
        worker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while runs_of(job) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert runs_of(job) == []


def runs_of(job: Job) -> list[int]:
    """Return the processes that train in a job's work_dir."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if job.folder.encode() in words and b"train.py" in words:
            found.append(int(path.parent.name))
    return found


def test_a_run_moves_between_nodes_by_the_storage(job: Job, tmp_path: Path) -> None:
    kept = replace(job, storage=f"file://{tmp_path}/kept/out")
    kept_last = tmp_path / "kept" / "out" / "x" / "seed_0" / "content"

    def has_been_copied() -> bool:
        return any(path.read_text() == "3" for path in kept_last.glob("*"))

    Path("slow").touch()
    first = replace(kept, owner="mine-1")
    told: list[str] = []

    def tell(note: str) -> bool:
        told.append(note)
        if not has_been_copied():
            return False
        Storage(kept.storage).claim("x/seed_0", "mine-2")  # it was thought lost
        return True

    assert RunOnNode(first, tell).run()["status"] == 1
    assert not Path(job.folder).exists()
    Path("slow").unlink()
    assert RunOnNode(replace(kept, owner="mine-2"), goes_on).run()["status"] == 0
    take(Storage(kept.storage), kept)
    assert Path(job.folder, "checkpoints", "last.pth").read_text() == "6"
    assert Path(job.folder, "results.json").read_text() == "{}"
    assert Path(job.log).read_text() == "resumes at 3\n"


def test_progress_is_the_last_row(tmp_path: Path) -> None:
    assert progress_of(tmp_path) == ""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "epoch", "experience": 1, "epoch": 4}\n')
    assert progress_of(tmp_path) == "experience 2, epoch 4"
    path.write_text('{"kind": "eval", "experience": 1}\n')
    assert progress_of(tmp_path) == "experience 2"
    path.write_text('{"kind": "epoch", "exper')
    assert progress_of(tmp_path) == ""


def test_a_drivers_mark_goes_with_it(tmp_path: Path) -> None:
    with driver_token(tmp_path) as token:
        assert (tmp_path / TOKEN).read_text() == token
    assert not (tmp_path / TOKEN).exists()
    with driver_token(tmp_path):
        (tmp_path / TOKEN).write_text("of a later driver")
    assert (tmp_path / TOKEN).exists()
