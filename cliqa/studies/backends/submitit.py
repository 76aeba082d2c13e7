"""Runs as jobs of SLURM, one for each, through submitit.

A job that runs out of time or is taken from its node saves its checkpoint and is queued again. All
nodes of such a cluster share the file system that the study lies on: runs report in files there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cliqa.deploy.libraries import library
from cliqa.engine.interrupts import Interrupted
from cliqa.studies.backends.commands import GRACE, RESUME, Command, OnEnd, noted_signals
from cliqa.studies.backends.jobs import TOKEN, Job, add_error, carried, driver_token, look_again
from cliqa.studies.backends.live_table import LiveTable
from cliqa.studies.backends.slurm_run import FOLDER, SlurmRun, outcome_of, reports_of
from cliqa.utils.errors import ConfigError, first_line
from cliqa.utils.system.python_process import safe_with_package

LOOK = 1.0
"""Seconds between two looks at the jobs."""

REQUEUED = 1000
"""How often a job that has run out of time is queued again."""

EXECUTORS = ("slurm", "local")

DAY = 24 * 60
"""Minutes after which submitit's local executor queues a run again."""


@dataclass(frozen=True)
class Slurm:
    """What a run asks of SLURM.

    Args:
        parameters: Of sbatch, by name: ``partition``, ``time``, ``account`` ...; ``executor=local``
            runs the jobs on this machine.
        gpus: GPUs of a run.
        cpus: Processors of a run.
        jobs: How many runs at a time; None for all.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    gpus: int = 0
    cpus: int = 1
    jobs: int | None = None


def minutes_of(text: str) -> int:
    """Return a time limit of sbatch in minutes.

    Raises:
        ConfigError: It is none.

    >>> [minutes_of(text) for text in ("90", "1:30:00", "2-12", "1-00:30:00", "45:30")]
    [90, 90, 3600, 1470, 46]
    """
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not found:
        raise ConfigError(
            f"--slurm time={text}: give minutes, HOURS:MINUTES:SECONDS or DAYS-HOURS."
        )
    days, *parts = (int(part or 0) for part in found.groups())
    given = [int(part) for part in found.groups()[1:] if part is not None]
    if found[1] is not None:
        hours, minutes, seconds = parts
    elif len(given) == 3:
        hours, minutes, seconds = given
    else:
        hours, (minutes, seconds) = 0, (given + [0])[:2]
    return max(1, days * DAY + hours * 60 + minutes + (seconds > 0))


class SlurmJobs:
    """Runs commands as jobs.

    Args:
        wanted: What a run asks for.
        out: The study's folder.

    Raises:
        ConfigError: submitit is not installed, this machine has no SLURM, or a parameter is wrong.
    """

    def __init__(self, wanted: Slurm, out: Path) -> None:
        submitit = library("submitit", extra="slurm")
        parameters = dict(wanted.parameters)
        kind = parameters.pop("executor", "slurm")
        if kind not in EXECUTORS:
            raise ConfigError(f"--slurm executor={kind}: choose one of {', '.join(EXECUTORS)}.")
        if kind == "slurm" and shutil.which("sbatch") is None:
            raise ConfigError(
                "--backend submitit: there is no sbatch here. Start the study where jobs are "
                "submitted from, or try it with --slurm executor=local."
            )
        if kind == "slurm" and "time" not in parameters:
            raise ConfigError(
                "--slurm: give the time of a job, e.g. time=240 (minutes). A longer run is queued "
                "again and goes on from its checkpoint."
            )
        self.parallel = wanted.jobs or 1
        self._out, self._jobs, self._variables = out, wanted.jobs, carried(wanted.cpus)
        self._module, self._kind = submitit, kind
        self._parameters = _parameters(parameters, wanted)

    def run(self, commands: Sequence[Command], on_end: OnEnd) -> None:
        """See `Backend.run`."""
        waiting, running = list(range(len(commands))), dict[int, Any]()
        with driver_token(self._out) as token, noted_signals() as signals:
            jobs = [Job.of(one, self._out, token, self._variables) for one in commands]
            executor = self._executor()
            with LiveTable([command.name for command in commands]) as shown:
                try:
                    while (waiting or running) and not signals:
                        while waiting and len(running) < (self._jobs or len(commands)):
                            place = waiting.pop(0)
                            running[place] = self._submit(executor, jobs[place])
                        for place in [place for place, job in running.items() if job.done()]:
                            outcome = _outcome(running.pop(place), jobs[place])
                            shown.end(place)
                            if outcome["refused"]:
                                raise ConfigError(f"{commands[place].name}: {outcome['refused']}")
                            look_again(Path(jobs[place].folder))
                            on_end(place, outcome["status"])
                        shown.show(reports_of(jobs))
                        time.sleep(LOOK if running else 0)
                finally:
                    self._end(running, signals)
            if signals:
                raise Interrupted(signals[0], RESUME)

    @staticmethod
    def _submit(executor: Any, job: Job) -> Any:  # noqa: ANN401  of submitit
        """Submit a job.

        Raises:
            ConfigError: SLURM does not take it.
        """
        with _variables(safe_with_package(os.environ)):  # submitit makes the command lines
            try:
                return executor.submit(SlurmRun(job.to_dict()))
            except Exception as error:
                if type(error).__name__ != "FailedJobError":
                    raise
                lines = [line.strip() for line in str(error).splitlines() if line.strip()]
                told = next((line for line in lines if line.startswith("sbatch:")), lines[-1])
                raise ConfigError(f"--slurm: the job was not accepted: {told}") from error

    def _executor(self) -> Any:  # noqa: ANN401  of submitit
        """Return submitit's executor.

        Raises:
            ConfigError: A parameter is wrong.
        """
        folder = self._out / FOLDER
        executor = self._module.AutoExecutor(
            folder=folder,
            cluster=self._kind,
            slurm_max_num_timeout=REQUEUED,
            local_max_num_timeout=REQUEUED,
        )
        try:
            executor.update_parameters(**self._parameters)
        except (AssertionError, NameError, TypeError, ValueError) as error:
            raise ConfigError(f"--slurm: {first_line(error)}") from error
        return executor

    def _end(self, running: dict[int, Any], signals: Sequence[int]) -> None:
        """Let all stop: they see that the study's mark has gone. Cancel those that do not."""
        if not running:
            return
        (self._out / TOKEN).unlink(missing_ok=True)
        before, deadline = len(signals), time.monotonic() + 2 * GRACE
        for job in running.values():
            if str(job.state).upper() == "PENDING":
                job.cancel(check=False)
        while time.monotonic() < deadline and len(signals) == before:
            if all(job.done() or str(job.state).startswith("CANCEL") for job in running.values()):
                return
            time.sleep(LOOK)
        for job in running.values():
            job.cancel(check=False)


def _outcome(handle: Any, job: Job) -> dict[str, Any]:  # noqa: ANN401  of submitit
    """Return how the run of a job has ended; of one that was lost, a failure with its reason."""
    outcome = outcome_of(job)
    if outcome is None:
        told = Path(handle.paths.stderr)
        lines = told.read_text(errors="replace").split("\n") if told.is_file() else []
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        add_error(Path(job.log), f"job {handle.job_id} was lost: {last}")
    return outcome or {"status": 1, "refused": ""}


def _parameters(parameters: dict[str, str], wanted: Slurm) -> dict[str, Any]:
    """Return submitit's parameters for sbatch's.

    Raises:
        ConfigError: One has an option of its own.
    """
    for key in ("cpus_per_task", "nodes", "ntasks_per_node"):
        if key in parameters:
            raise ConfigError(
                f"--slurm {key}: a run is one task on one node; --cpus-per-run sets its processors."
            )
    if wanted.gpus and "gpus_per_node" in parameters:
        raise ConfigError("--slurm gpus_per_node and --gpus-per-run say the same. Give one.")
    minutes = minutes_of(parameters.pop("time", str(DAY)))
    gpus = parameters.pop("gpus_per_node", str(wanted.gpus))
    if not gpus.isdecimal():
        raise ConfigError(f"--slurm gpus_per_node={gpus}: expected a whole number.")
    return {
        "name": "cliqa",
        "timeout_min": minutes,
        "cpus_per_task": wanted.cpus,
        "gpus_per_node": int(gpus),
        "slurm_additional_parameters": parameters,
    }


@contextlib.contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Let the processes that are started inside the block have variables beside this one's."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
