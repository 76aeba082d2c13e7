"""Jobs through submitit's local executor: queued again, failed, stopped, and gone on."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from cliqa.engine.interrupts import Interrupted
from cliqa.studies.backends.commands import Command
from cliqa.studies.backends.jobs import TOKEN, Job
from cliqa.studies.backends.slurm_run import FOLDER, Report, outcome_of, reports_of
from cliqa.studies.backends.submitit import Slurm, SlurmJobs
from cliqa.utils.errors import ConfigError
from tests.studies.backends.test_on_node import TRAIN


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a study, beside a stand-in for the entry point."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "b.py"):
        (tmp_path / name).touch()
    fails = "import sys\nif sys.argv[1] == 'b.py': sys.exit('error: bad data')\n"
    (tmp_path / "train.py").write_text(fails + TRAIN)
    (tmp_path / "out").mkdir()
    return Path("out")


def command(out: Path, name: str) -> Command:
    """Return the command of a run."""
    folder = out / name
    arguments = (sys.executable, "train.py", f"{name}.py", "--work-dir", str(folder))
    return Command(arguments, out / f"{name}.log", name, folder)


def when_it_hangs(last: Path, then: signal.Signals, marked: bytes) -> threading.Thread:
    """Send a signal to the process whose command has a word, once a run hangs."""

    def wait() -> None:
        while not (last.is_file() and last.read_text() == "3"):
            time.sleep(0.02)
        if marked:
            (pid,) = (
                int(path.parent.name)
                for path in Path("/proc").glob("[0-9]*/cmdline")
                if marked in path.read_bytes()
            )
            os.kill(pid, then)
            Path("slow").unlink()  # the next attempt, a second later, goes on
        else:
            os.kill(os.getpid(), then)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_runs_are_queued_again_fail_and_stop_with_the_study(out: Path) -> None:
    pytest.importorskip("submitit")
    backend = SlurmJobs(Slurm({"executor": "local"}, jobs=1), out)
    commands, ended = [command(out, name) for name in "ab"], []
    last = out / "a" / "checkpoints" / "last.pth"
    Path("slow").touch()
    thread = when_it_hangs(last, signal.SIGINT, b"")
    with pytest.raises(Interrupted, match="the same command continues"):
        backend.run(commands, lambda *end: ended.append(end))
    thread.join()
    assert ended == []
    assert (out / "a.log").read_text() == "resumes at 0\n"
    last.write_text("2")
    thread = when_it_hangs(last, signal.SIGUSR2, b"submitit.core._submit")  # as SLURM does
    backend.run(commands, lambda *end: ended.append(end))
    thread.join()
    assert ended == [(0, 0), (1, 1)]
    assert (out / "a.log").read_text() == "resumes at 3\n"
    assert last.read_text() == "6"
    assert (out / "b.log").read_text() == "error: bad data\n"
    assert not (out / TOKEN).exists()


def test_a_run_reports_in_the_studys_folder(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cliqa.studies.backends.slurm_run.LATE", 0.05)
    (out / TOKEN).write_text("mine")
    job = Job.of(command(out, "a"), out, "mine", {})
    assert reports_of([job]) == {}
    report = Report(job)
    assert not report("experience 1")
    rows = reports_of([job, Job.of(command(out, "b"), out, "mine", {})])
    assert set(rows) == {0}
    assert (rows[0]["note"], rows[0]["attempt"]) == ("experience 1", 1)
    assert outcome_of(job) is None
    again = Report(job)
    again.end({"status": 3, "refused": ""})
    found = outcome_of(job)
    assert found is not None
    assert (found["status"], found["attempt"]) == (3, 2)
    (out / TOKEN).write_text("of a later driver")
    assert report("experience 2")
    (out / FOLDER / "a.json").write_text("cut off")
    assert reports_of([job]) == {}


def test_a_wrong_parameter_of_submitit_is_told(out: Path) -> None:
    pytest.importorskip("submitit")
    backend = SlurmJobs(Slurm({"executor": "local"}, cpus=1), out)
    backend._parameters["cpus_per_task"] = "many"
    with pytest.raises(ConfigError, match="--slurm: "):
        backend.run([command(out, "a")], lambda *_: None)


def test_slurm_gets_what_a_run_asks_for_and_its_refusal_is_told(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    programs = Path("bin").resolve()
    programs.mkdir()
    refusal = "sbatch: error: invalid partition specified: gpu"
    for name in ("sbatch", "srun", "sacct"):
        (programs / name).write_text(
            f'#!/bin/sh\ncat "$1" > {programs}/got\necho "{refusal}" >&2; exit 1\n'
        )
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    asked = {"partition": "gpu", "time": "1:30:00", "account": "iqa"}
    backend = SlurmJobs(Slurm(asked, gpus=1, cpus=4), out)
    with pytest.raises(ConfigError, match=rf"--slurm: the job was not accepted: {refusal}"):
        backend.run([command(out, "a")], lambda *_: None)
    lines = (programs / "got").read_text().splitlines()
    for wanted in ("partition=gpu", "time=90", "account=iqa", "gpus-per-node=1", "cpus-per-task=4"):
        assert f"#SBATCH --{wanted}" in lines
    assert (out / TOKEN).exists() is False
