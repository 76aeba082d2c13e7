"""Runs as tasks of a Ray cluster: one task for each, which starts the run as a process.

Ray starts a task again whose node or worker is lost; the run goes on from its own last checkpoint.
A run that ends with an error has failed, as it would here, and is not tried again.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.deploy.libraries import library
from cliqa.studies.backends import board, ray_task
from cliqa.studies.backends.commands import Command, OnEnd
from cliqa.studies.backends.jobs import Job, add_error, carried, driver_token, look_again
from cliqa.studies.backends.kept_runs import bring, take
from cliqa.studies.backends.ray_tasks import RETRIES, Tasks
from cliqa.studies.backends.storage import Storage
from cliqa.utils.errors import ConfigError, first_line
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

CONNECT = 10.0
"""Seconds in which a cluster must answer."""

STORE = 100 * 2**20
"""Bytes of Ray's object store on this machine: runs exchange files, not objects."""


@dataclass(frozen=True)
class Cluster:
    """What a run asks of a Ray cluster.

    Args:
        address: ``HOST:PORT``, ``auto`` for the one of this machine, or None to start one here.
        gpus: GPUs of a run, fractions too; None for one where the cluster has any.
        cpus: Processors of a run.
        jobs: How many runs at a time; None for as many as fit.
        storage: Where runs are kept if the nodes share no file system; None if they do.
    """

    address: str | None = None
    gpus: float | None = None
    cpus: int = 1
    jobs: int | None = None
    storage: str | None = None


@contextlib.contextmanager
def connected(wanted: Cluster, out: Path) -> Iterator[RayTasks]:
    """Connect to a cluster, or start one on this machine, inside the block.

    Args:
        wanted: What a run asks for.
        out: The study's folder.

    Raises:
        ConfigError: Ray is not installed, the cluster does not answer, no node has what a run asks
            for, or the storage cannot be used.
    """
    ray = library("ray", extra="ray")
    storage = f"{wanted.storage.rstrip('/')}/{out.name}" if wanted.storage else ""
    if storage:
        Storage(storage).check()
    with _connection(ray, wanted.address):
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        gpus = wanted.gpus
        if gpus is None:
            gpus = 1.0 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0
        check_resources(nodes, gpus, wanted.cpus)
        fit = sum(_fits(node, gpus, wanted.cpus) for node in nodes)
        count, many = len(nodes), "s" * (len(nodes) != 1)
        logger.info("Ray: %d node%s, room for %d run%s", count, many, fit, "s" * (fit != 1))
        yield RayTasks(ray, out, gpus, wanted.cpus, wanted.jobs, storage, parallel=fit)


def check_resources(nodes: Sequence[Mapping[str, float]], gpus: float, cpus: int) -> None:
    """Refuse what no node has: Ray would wait for such a node for ever.

    Args:
        nodes: By node, its resources.
        gpus: That a run asks for.
        cpus: The same.

    Raises:
        ConfigError: With the most that a node has.
    """
    asked = {"GPU": ("--gpus-per-run", gpus), "CPU": ("--cpus-per-run", float(cpus))}
    for kind, (option, value) in asked.items():
        most = max((node.get(kind, 0.0) for node in nodes), default=0.0)
        if value > most:
            raise ConfigError(
                f"{option} {value:g}: no node of the cluster has so many; the most is {most:g} "
                f"{kind}. Lower it, or add such a node first (ray start --address ...)."
            )
    if not any(_fits(node, gpus, cpus) for node in nodes):
        raise ConfigError(
            f"--gpus-per-run {gpus:g} --cpus-per-run {cpus}: no node has both at once."
        )


def _fits(node: Mapping[str, float], gpus: float, cpus: int) -> int:
    """Return how many runs fit on a node."""
    by_cpu = int(node.get("CPU", 0.0) // cpus)
    return min(by_cpu, int(node.get("GPU", 0.0) // gpus)) if gpus else by_cpu


@contextlib.contextmanager
def _connection(ray: Any, address: str | None) -> Iterator[None]:  # noqa: ANN401
    """Connect inside the block.

    Raises:
        ConfigError: The cluster does not answer.
    """
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    address = address or os.environ.get("RAY_ADDRESS")
    if address is None:
        here = {"include_dashboard": False, "object_store_memory": STORE}
        ray.init(address="local", **here, **quiet)
    else:
        check_address(address)
        try:
            ray.init(address=address, **quiet)
        except Exception as error:
            raise ConfigError(
                f"--address {address}: no connection to a cluster ({first_line(error)}). Start one "
                "(ray start --head), or leave --address out to start one here. If it asks for a "
                "token, set RAY_AUTH_MODE=token."
            ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _noted_address() -> str:
    """Return the address that ``ray start`` has noted on this machine, "" if there is none."""
    root = Path(os.environ.get("RAY_TMPDIR", "/tmp"))
    try:
        return (root / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def check_address(address: str) -> None:
    """Refuse an address at which nothing answers, in seconds: Ray itself would try for a minute.

    Raises:
        ConfigError: It is none, or nothing answers.
    """
    known = _noted_address() if address == "auto" else address
    if not known:
        return
    host, _, port = known.rpartition(":")
    if "://" in known or not host or not port.isdecimal():
        raise ConfigError(
            f"--address {address}: expected HOST:PORT as ray start --head prints it, or auto. The "
            "study itself must be started on a node of the cluster."
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"--address {address}: nothing answers there ({error}). Is the head node running (ray "
            "start --head), and is the port open?"
        ) from error


class RayTasks:
    """Runs commands as tasks.

    Args:
        ray: The module, connected.
        out: The study's folder.
        gpus: Of a run.
        cpus: The same.
        jobs: How many runs at a time; None for all.
        storage: Where runs are kept between nodes; "" where these share a file system.
        parallel: How many fit.
    """

    def __init__(
        self,
        ray: Any,  # noqa: ANN401  the module
        out: Path,
        gpus: float,
        cpus: int,
        jobs: int | None,
        storage: str,
        parallel: int,
    ) -> None:
        self._ray, self._out, self._storage = ray, out, storage
        self._jobs, self._variables = jobs, carried(cpus)
        self.parallel = jobs or max(1, parallel)
        for module in (ray_task, board):
            ray.cloudpickle.register_pickle_by_value(module)
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(
            ray_task.run_task
        )
        near = library("ray.util.scheduling_strategies", extra="ray").NodeAffinitySchedulingStrategy
        here = near(ray.get_runtime_context().get_node_id(), soft=False)
        self._board = ray.remote(num_cpus=0, scheduling_strategy=here)(board.Board).remote(
            RETRIES + 1
        )
        self._used = 0

    def run(self, commands: Sequence[Command], on_end: OnEnd) -> None:
        """See `Backend.run`."""
        if not commands:
            return
        most = self._jobs or len(commands)
        tasks = Tasks(self._ray, self._board, self._task, most, self._used)
        self._used += len(commands)
        storage = Storage(self._storage) if self._storage else None
        with driver_token(self._out) as token:
            jobs = [
                Job.of(one, self._out, token, self._variables, self._storage) for one in commands
            ]

            def start(place: int) -> dict[str, Any]:
                if storage is not None:
                    bring(storage, jobs[place])
                return jobs[place].to_dict()

            def ended(place: int, outcome: dict[str, Any]) -> None:
                command = commands[place]
                if outcome["refused"]:
                    raise ConfigError(f"{command.name}: {outcome['refused']}")
                if storage is not None:
                    take(storage, jobs[place])
                look_again(Path(jobs[place].folder))
                reason = outcome.get("reason", "")
                if reason:
                    add_error(command.log, reason)
                on_end(place, outcome["status"])

            tasks.run([command.name for command in commands], start, ended)
