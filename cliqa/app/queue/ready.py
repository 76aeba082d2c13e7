"""What a job needs, looked for when it is put into the queue: its turn may come hours later."""

from __future__ import annotations

from pathlib import Path

from cliqa.app.queue.job import FAILED, STOPPED
from cliqa.app.queue.jobs import Jobs
from cliqa.app.queue.search import Search
from cliqa.benchmarks.data_check import check_data
from cliqa.config.load import load_config
from cliqa.config.trust import built_from
from cliqa.deploy.search.options import DeployOptions, check_libraries
from cliqa.engine.streams import check_may_generate
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run


def resume_checked(jobs: Jobs, name: object) -> None:
    """Resume a job, unless its data, or the run that it compresses, have gone meanwhile.

    Raises:
        CliqaError: With what is missing, or as `Jobs.resume`.
    """
    job = jobs.get(name)
    if jobs.state_of(job) in (STOPPED, FAILED):
        if job.search is not None:
            check_search(job.search, jobs.folder_of(job))
        else:
            check_data(load_config(jobs.config_file(job)))
    jobs.resume(name)


def check_search(search: Search, run: Path) -> None:
    """Refuse a search without what it needs: the run's checkpoint, its data, libraries.

    The config is the checkpoint's, which is data: a run's ``config.py`` is code. A run that went on
    although data had gone is measured on those that are there, so that none of them must be.

    Args:
        search: What is asked for.
        run: The run's work_dir.

    Raises:
        CliqaError: With what is missing.
    """
    asked = DeployOptions(prunings=search.prunings, backends=search.backends or None)
    check_libraries(asked)
    path = find_checkpoint(run)
    state = load_run(path)
    if not state.get("absent"):
        with built_from(path):
            check_data(state["config"])
            check_may_generate(state["config"]["scenario"])
