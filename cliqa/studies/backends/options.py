"""The options of backends on the command line, checked before anything is planned."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cliqa.studies.backends.commands import Backend
from cliqa.studies.backends.local import Local
from cliqa.studies.backends.ray import Cluster, connected
from cliqa.studies.backends.submitit import Slurm, SlurmJobs
from cliqa.utils.arguments import check_at_least
from cliqa.utils.device import check_device, resolve_device
from cliqa.utils.errors import ConfigError

OF = {
    "address": ("ray",),
    "storage": ("ray",),
    "gpus_per_run": ("ray", "submitit"),
    "cpus_per_run": ("ray", "submitit"),
    "slurm": ("submitit",),
}
"""By option, the backends that it belongs to."""


@dataclass(frozen=True)
class BackendOptions:
    """Where a study's runs are started, and what each of them asks for.

    Args:
        backend: ``local``, ``ray`` or ``submitit``.
        jobs: How many runs at a time; None for one here, and for all elsewhere.
        device: Where a run trains.
        address: Of a Ray cluster.
        gpus_per_run: GPUs of a run.
        cpus_per_run: Processors of a run.
        storage: Where runs are kept between nodes that share no file system.
        slurm: ``KEY=VALUE`` for sbatch.

    Raises:
        ConfigError: An option is wrong, or belongs to another backend.
    """

    backend: str = "local"
    jobs: int | None = None
    device: str = "auto"
    address: str | None = None
    gpus_per_run: float | None = None
    cpus_per_run: int | None = None
    storage: str | None = None
    slurm: tuple[str, ...] | None = None

    @classmethod
    def of(cls, args: argparse.Namespace) -> BackendOptions:
        """Return the options of a command line."""
        given = {name: getattr(args, name) for name in OF}
        slurm = given.pop("slurm")
        return cls(args.backend, args.jobs, args.device, **given, slurm=slurm and tuple(slurm))

    def __post_init__(self) -> None:
        """Check the options without any library."""
        check_device(self.device)
        check_at_least(1, "--jobs", self.jobs)
        check_at_least(1, "--cpus-per-run", self.cpus_per_run)
        check_at_least(0, "--gpus-per-run", self.gpus_per_run)
        for name, backends in OF.items():
            if getattr(self, name) is not None and self.backend not in backends:
                raise ConfigError(
                    f"--{name.replace('_', '-')}: belongs to --backend {' or '.join(backends)}, "
                    f"not to {self.backend}."
                )
        gpus = self.gpus_per_run or 0.0
        if gpus % 1 and (gpus > 1 or self.backend == "submitit"):
            few = "a fraction below 1 or " if self.backend == "ray" else ""
            raise ConfigError(f"--gpus-per-run {gpus:g}: give {few}a whole number.")
        if self.backend != "local" and ":" in self.device:
            raise ConfigError(
                f"--device {self.device}: --backend {self.backend} chooses the GPU of each run. "
                "Give cuda, cpu or auto."
            )

    @contextlib.contextmanager
    def opened(self, out: Path) -> Iterator[Backend]:
        """Open the backend inside the block.

        Args:
            out: The study's folder.

        Raises:
            ConfigError: Its library is missing, it cannot be reached, or it lacks what is asked.
        """
        gpus = 0.0 if self.device == "cpu" and self.gpus_per_run is None else self.gpus_per_run
        if self.backend == "ray":
            cluster = Cluster(self.address, gpus, self.cpus_per_run or 1, self.jobs, self.storage)
            with connected(cluster, out) as tasks:
                yield tasks
        elif self.backend == "submitit":
            yield SlurmJobs(
                Slurm(_parsed(self.slurm or ()), int(gpus or 0), self.cpus_per_run or 1, self.jobs),
                out,
            )
        else:
            resolve_device(self.device)
            yield Local(self.jobs or 1)


def _parsed(given: tuple[str, ...]) -> dict[str, str]:
    """Return ``KEY=VALUE`` by key.

    Raises:
        ConfigError: One is none.
    """
    parts = [one.partition("=") for one in given]
    for key, sign, value in parts:
        if not (key.isidentifier() and sign and value.strip()) or "\n" in value:
            raise ConfigError(
                f"--slurm {key}{sign}{value}: expected KEY=VALUE, e.g. partition=gpu time=240."
            )
    return {key: value for key, _, value in parts}
