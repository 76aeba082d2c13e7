"""The queue in files: what it knows of a run that it started, that another started, that died."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cliqa.app.queue import job as job_module
from cliqa.app.queue import jobs as module
from cliqa.app.queue.job import FAILED, FINISHED, LOST, RUNNING, STOPPED, STOPPING, WAITING
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.search import Search
from cliqa.config.load import read_values
from cliqa.utils.errors import ConfigError
from tests.app.queue.conftest import CONFIG, until


def started(queue: Jobs, name: str) -> None:
    """Add a job, start it, and wait until its process is at work."""
    queue.start(queue.add(name, CONFIG, "cpu"))
    until((queue.work_dirs / name / "ready").exists)


def state(queue: Jobs, name: str) -> str:
    """Return what a job is doing."""
    return queue.state_of(queue.get(name))


def test_jobs_wait_in_their_order_under_names_of_their_own(queue: Jobs) -> None:
    (queue.work_dirs / "b").mkdir(parents=True)
    names = [queue.add(name, CONFIG, "cpu").name for name in ("b", "a", "a")]
    assert names == ["b_2", "a", "a_2"]
    assert [job.name for job in queue.all()] == names
    assert {queue.state_of(job) for job in queue.all()} == {WAITING}
    assert read_values(queue.config_file(queue.get("a"))) == CONFIG
    assert [job.name for job in Jobs(queue.work_dirs).all()] == names  # another server's view


@pytest.mark.parametrize("name", ["", "../up", "/etc/x", ".hidden", "a/b", "a" * 81, "a\nb", "é"])
def test_names_are_names_of_folders(queue: Jobs, name: str) -> None:
    if name == "é":
        assert not (queue.folder / name).exists()
    with pytest.raises(ConfigError, match="use letters, digits"):
        queue.add(name, CONFIG, "cpu")
    assert queue.all() == []
    with pytest.raises(ConfigError, match="no such run in the queue"):
        queue.get(name)


def test_a_job_runs_in_a_process_of_its_own_until_it_has_finished(queue: Jobs) -> None:
    started(queue, "one")
    other = Jobs(queue.work_dirs)
    assert state(queue, "one") == state(other, "one") == RUNNING
    (words,) = (queue.work_dirs / "one" / "begun").read_text().splitlines()
    command, config, *given = json.loads(words)
    assert command == "train"
    assert config == str(queue.config_file(queue.get("one")))
    place = str(queue.work_dirs / "one")
    assert given == ["--work-dir", place, "--device", "cpu", "--resume", "auto"]
    queue.start(queue.get("one"))  # it lives: nothing is started twice
    with pytest.raises(ConfigError, match="one is running. Stop it first"):
        queue.remove("one")
    with pytest.raises(ConfigError, match="one is running. Only what stopped or failed"):
        queue.resume("one")
    (queue.work_dirs / "one" / "go").touch()
    until(lambda: state(queue, "one") == FINISHED)
    assert len((queue.work_dirs / "one" / "begun").read_text().splitlines()) == 1
    assert queue.log_of(queue.get("one")) == ["learning", "done"]
    queue.stop("one")  # too late: nothing changes
    assert state(queue, "one") == FINISHED
    queue.remove("one")
    assert queue.all() == []
    assert (queue.work_dirs / "one" / "begun").exists()  # what it wrote stays


def test_a_stopped_job_resumes(queue: Jobs) -> None:
    started(queue, "one")
    Jobs(queue.work_dirs).stop("one")  # by a server that has not started it
    until(lambda: state(queue, "one") == STOPPED)
    assert "a checkpoint is written" in queue.log_of(queue.get("one"))[-1]
    queue.resume("one")
    assert state(queue, "one") == WAITING
    (queue.work_dirs / "one" / "go").touch()
    queue.start(queue.get("one"))
    until(lambda: state(queue, "one") == FINISHED)


def test_who_does_not_stop_is_killed_when_asked_again(queue: Jobs) -> None:
    started(queue, "stubborn")
    queue.stop("stubborn")
    assert state(queue, "stubborn") == STOPPING
    queue.stop("stubborn")
    until(lambda: state(queue, "stubborn") == STOPPED)


def test_what_waits_can_be_stopped_and_put_back(queue: Jobs) -> None:
    queue.add("one", CONFIG, "cpu")
    queue.stop("one")
    assert state(queue, "one") == STOPPED
    queue.resume("one")
    assert state(queue, "one") == WAITING


def test_a_failure_has_the_errors_of_its_output(queue: Jobs) -> None:
    queue.start(queue.add("bad", CONFIG, "cpu"))
    until(lambda: state(queue, "bad") == FAILED)
    assert queue.reason_of(queue.get("bad")) == "no data\nand no device"
    queue.resume("bad")
    assert state(queue, "bad") == WAITING


def test_a_killed_job_is_told_of_by_the_server_that_started_it_and_by_others(queue: Jobs) -> None:
    started(queue, "one")
    process = queue.get("one").process
    assert process is not None
    os.kill(process, signal.SIGKILL)
    other = Jobs(queue.work_dirs)
    until(lambda: other.state_of(other.get("one")) == FAILED)  # its lock has gone
    assert other.reason_of(other.get("one")) == LOST
    until(lambda: queue.get("one").status == -signal.SIGKILL)
    assert queue.reason_of(queue.get("one")) == LOST


def test_a_run_that_ended_unseen_has_finished_if_its_results_say_so(
    queue: Jobs, tiny_run: Path
) -> None:
    started(queue, "one")
    results = (tiny_run / "results.json").read_text()
    (queue.work_dirs / "one" / "results.json").write_text(results)
    lost = queue._processes.pop("one")  # this server has gone
    (queue.work_dirs / "one" / "go").touch()
    lost.wait()
    assert state(Jobs(queue.work_dirs), "one") == FINISHED


def test_a_damaged_file_takes_nothing_else_with_it(
    queue: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    queue.add("one", CONFIG, "cpu")
    for name, text in {
        "two": "{",
        "three": "[]",
        "four": '{"name": 1, "device": [], "place": "x"}',
    }.items():
        queue.add(name, CONFIG, "cpu")
        (queue.folder / name / "job.json").write_text(text)
    moved = queue.add("five", CONFIG, "cpu")
    text = (queue.folder / moved.name / "job.json").read_text().replace("five", "../../five")
    (queue.folder / moved.name / "job.json").write_text(text)
    assert [job.name for job in queue.all()] == ["one"]
    assert caplog.text.count("left out of the queue") >= 3


def test_a_search_is_a_job_too(queue: Jobs) -> None:
    search = Search("study/a b", "latency", 0.1, (0.3, 0.5), ("onnxruntime",), ("8 bit",))
    job = queue.add_search(search)
    assert job.name == "compress_study_a_b"
    (found,) = Jobs(queue.work_dirs).all()
    assert (found.search, found.name) == (
        replace(search, prunings=[0.3, 0.5], backends=["onnxruntime"], kinds=["8 bit"]),
        job.name,
    )
    queue.start(found)
    folder = queue.work_dirs / "study" / "a b"
    until((folder / "ready").exists)
    words = json.loads((folder / "begun").read_text())
    assert words[:3] == ["compress", "auto", str(folder)]
    limits = ["--target", "latency", "--max-drop", "0.1"]
    chosen = ["--backends", "onnxruntime", "--precisions", "int8"]
    assert words[3:] == [*limits, "--prune", "0.3", "0.5", *chosen]
    other = Jobs(queue.work_dirs)
    lost = queue._processes.pop(job.name)
    lost.kill()
    lost.wait()
    assert other.state_of(other.get(job.name)) == FAILED
    (folder / "deploy").mkdir()
    (folder / "deploy" / "deployments.json").write_text("{}")
    assert other.state_of(other.get(job.name)) == FINISHED


@pytest.mark.parametrize(
    "change",
    [
        {"process": -1},  # of every process of this user
        {"process": 0},
        {"process": 1},
        {"place": float("nan")},
        {"wanted": 3},
        {"search": {"run": "../up"}},
    ],
)
def test_values_that_no_queue_writes_are_left_out(queue: Jobs, change: dict[str, Any]) -> None:
    job = queue.add("one", CONFIG, "cpu")
    file = queue.folder / job.name / "job.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    assert queue.all() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_pipes_and_depth_keep_nobody_waiting(queue: Jobs) -> None:
    for name in ("one", "two", "three"):
        queue.add(name, CONFIG, "cpu")
    (queue.folder / "one" / "job.json").unlink()
    os.mkfifo(queue.folder / "one" / "job.json")
    (queue.folder / "two" / "job.json").write_text("[" * 100_000)
    for name in ("lock", "log.txt"):
        os.mkfifo(queue.folder / "three" / name)
    (job,) = queue.all()
    assert queue.state_of(job) == WAITING
    assert queue.log_of(job) == []
    with pytest.raises(OSError, match="no regular file"):
        queue.start(job)


def test_what_another_tab_or_server_does_meanwhile_counts(queue: Jobs) -> None:
    seen = [queue.add(name, CONFIG, "cpu") for name in ("one", "two")]
    other = Jobs(queue.work_dirs)
    other.stop("one")
    other.remove("two")
    for job in seen:  # as they were when the runner looked
        queue.start(job)
    assert state(queue, "one") == STOPPED
    assert [job.name for job in queue.all()] == ["one"]
    assert queue._processes == {}


def test_many_clicks_at_once_are_many_runs_and_one_search(queue: Jobs) -> None:
    tabs = [Jobs(queue.work_dirs) for _ in range(4)]

    def press(tab: Jobs) -> int:
        tab.add("one", CONFIG, "cpu")
        try:
            tab.add_search(Search("demo"))
        except ConfigError:
            return 0
        return 1

    with ThreadPoolExecutor(len(tabs)) as pool:
        assert sum(pool.map(press, tabs)) == 1
    runs = [job.name for job in queue.all() if job.search is None]
    assert sorted(runs) == ["one", "one_2", "one_3", "one_4"]
    with pytest.raises(ConfigError, match="demo: a search of it is in the queue already"):
        queue.add_search(Search("demo"))


def test_the_list_has_an_end(queue: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "MOST", 2)
    for name in ("one", "two"):
        queue.add(name, CONFIG, "cpu")
    with pytest.raises(ConfigError, match="the list has 2 runs. Remove some"):
        queue.add("three", CONFIG, "cpu")
    queue.remove("one")
    queue.add("three", CONFIG, "cpu")


def test_a_process_that_is_another_one_is_not_ended(queue: Jobs) -> None:
    started(queue, "one")
    file = queue.folder / "one" / "job.json"
    held = json.loads(file.read_text())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        for number in (None, stranger.pid):
            file.write_text(json.dumps({**held, "process": number}))
            with pytest.raises(ConfigError, match=r"one: it is not known .* by hand"):
                Jobs(queue.work_dirs).stop("one")
        assert stranger.poll() is None
        stranger.kill()
    assert state(queue, "one") == RUNNING


def test_an_end_that_cannot_be_written_is_no_fault_of_the_list(
    queue: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started(queue, "one")
    (queue.work_dirs / "one" / "go").touch()
    process = queue._processes["one"]
    process.wait()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_json", full)
    assert [job.name for job in queue.all()] == ["one"]
    assert "one: " in caplog.text
    assert "disk is full" in caplog.text
