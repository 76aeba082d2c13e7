"""A job is refused when it is put into the queue, not when its turn comes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cliqa.app.queue.job import STOPPED
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.ready import check_search, resume_checked
from cliqa.app.queue.search import Search
from cliqa.deploy.search import options
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import CheckpointError, ConfigError, DatasetError, TrustError

SEARCH = Search("run")


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """Return a run's folder with its checkpoint alone."""
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    shutil.copy(tiny_run / "checkpoints" / "last.pth", folder / "checkpoints" / "last.pth")
    return folder


def rewrite(run: Path, **scenario: Any) -> Path:
    """Change the scenario in a run's checkpoint; return its file."""
    path = run / "checkpoints" / "last.pth"
    state = load_checkpoint(path)
    state["config"]["scenario"] |= scenario
    save_checkpoint(path, state)
    return path


def test_a_run_with_its_data_can_be_compressed(run: Path) -> None:
    check_search(SEARCH, run)
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints"]


def test_a_search_needs_a_checkpoint(run: Path) -> None:
    (run / "checkpoints" / "last.pth").unlink()
    with pytest.raises(CheckpointError, match=r"run: work_dir without a checkpoint\. Train first"):
        check_search(SEARCH, run)


def test_a_search_needs_the_runs_data(run: Path, tmp_path: Path) -> None:
    path = rewrite(run, dataset_root=str(tmp_path / "gone"))
    with pytest.raises(DatasetError, match="no folder .*gone"):
        check_search(SEARCH, run)
    state = load_checkpoint(path)
    save_checkpoint(path, {**state, "absent": [state["names"][0]]})
    check_search(SEARCH, run)  # it has gone on without some of them


def test_a_search_has_no_data_generated(run: Path, tmp_path: Path) -> None:
    rewrite(run, dataset_root=str(tmp_path / "gone"), generate={"type": "DemoData"})
    with pytest.raises(TrustError, match="gone: its data are not there, and .* generated"):
        check_search(SEARCH, run)


def test_a_search_needs_its_libraries(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = options.importlib.util.find_spec
    lacking = "torch_pruning"
    monkeypatch.setattr(
        options.importlib.util, "find_spec", lambda name: None if name == lacking else real(name)
    )
    check_search(SEARCH, run)
    with pytest.raises(ConfigError, match="the package torch_pruning is not installed"):
        check_search(replace(SEARCH, prunings=(0.3,)), run)


def test_what_has_lost_its_data_is_not_resumed(
    tmp_path: Path, tiny_config: dict[str, Any], run: Path
) -> None:
    jobs = Jobs(tmp_path / "runs")
    scenario = {**tiny_config["scenario"], "dataset_root": str(tmp_path / "gone")}
    for job in (
        jobs.add("one", {**tiny_config, "scenario": scenario}, "cpu"),
        jobs.add_search(Search("two")),
    ):
        with pytest.raises(ConfigError, match=f"{job.name} is waiting. Only what stopped"):
            resume_checked(jobs, job.name)
        jobs.stop(job.name)
    with pytest.raises(DatasetError, match="no folder .*gone"):
        resume_checked(jobs, "one")
    with pytest.raises(CheckpointError, match="two: no such checkpoint"):
        resume_checked(jobs, "compress_two")
    assert {jobs.state_of(job) for job in jobs.all()} == {STOPPED}
    shutil.copytree(run, tmp_path / "runs" / "two")
    resume_checked(jobs, "compress_two")
    assert jobs.state_of(jobs.get("compress_two")) != STOPPED
