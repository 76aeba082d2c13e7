"""The thread that starts what waits."""

from __future__ import annotations

import pytest

from cliqa.app.queue import runner as module
from cliqa.app.queue.job import FAILED, FINISHED, RUNNING, WAITING
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.runner import Runner
from tests.app.queue.conftest import CONFIG, until


def states(queue: Jobs) -> list[str]:
    """Return what all jobs are doing, in order."""
    return [queue.state_of(job) for job in queue.all()]


def test_jobs_run_one_after_the_other(queue: Jobs) -> None:
    for name in ("one", "two"):
        queue.add(name, CONFIG, "cpu")
    runner = Runner(queue)
    runner.step()
    runner.step()
    assert states(queue) == [RUNNING, WAITING]
    until((queue.work_dirs / "one" / "ready").exists)
    (queue.work_dirs / "one" / "go").touch()
    until(lambda: states(queue)[0] == FINISHED)
    runner.step()
    assert states(queue) == [FINISHED, RUNNING]


def test_several_at_a_time(queue: Jobs) -> None:
    for name in ("one", "two", "three"):
        queue.add(name, CONFIG, "cpu")
    Runner(queue, parallel=2).step()
    assert states(queue) == [RUNNING, RUNNING, WAITING]


def test_of_two_servers_one_starts_jobs_and_the_other_takes_over(queue: Jobs) -> None:
    first, second = Runner(queue), Runner(Jobs(queue.work_dirs))
    first.begin()
    until((queue.folder / ".server").exists)
    second.begin()
    for name in ("one", "two"):
        queue.add(name, CONFIG, "cpu")
    until((queue.work_dirs / "one" / "ready").exists)
    assert states(queue) == [RUNNING, WAITING]
    first.end()
    (queue.work_dirs / "one" / "go").touch()
    until((queue.work_dirs / "two" / "ready").exists)
    second.end()
    assert states(queue) == [FINISHED, RUNNING]  # it goes on without a server
    for process in second.jobs._processes.values():
        process.kill()
        process.wait()


def test_what_cannot_be_started_fails_and_those_behind_it_do_not_wait(queue: Jobs) -> None:
    for name in ("one", "two"):
        queue.add(name, CONFIG, "cpu")
    (queue.folder / "one" / "lock").mkdir()
    Runner(queue).step()
    assert states(queue) == [FAILED, RUNNING]
    assert "no regular file" in queue.reason_of(queue.get("one"))


def test_a_full_disk_is_told_once(
    queue: Jobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def full() -> None:
        tried.append(1)
        raise OSError(28, "No space left on device")

    runner = Runner(queue)
    monkeypatch.setattr(runner, "step", full)
    monkeypatch.setattr(module, "LOOK", 0.001)
    runner.begin()
    until(lambda: len(tried) > 3)
    runner.end()
    assert caplog.text.count("the queue of runs") == 1
