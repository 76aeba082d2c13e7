"""A plan's forecast: a table of its configs, the study's hours, memory and disk, and the limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cliqa.evaluation.records.table_styles import Table
from cliqa.studies.forecast.cost import Measured, RunCost, run_cost, study_seconds
from cliqa.studies.forecast.measured import measure
from cliqa.studies.forecast.stand_in import SIZE
from cliqa.studies.plan import Plan
from cliqa.studies.planned_run import PlannedRun
from cliqa.utils.device import usable_cpus
from cliqa.utils.errors import ConfigError
from cliqa.utils.memory import available_memory
from cliqa.utils.paths import free_space
from cliqa.utils.progress import Phase, duration

HEADER = ("config", "runs", "steps", "s/step", "s/load", "s/image", "h/run", "h", "limit")

NOT_COUNTED = (
    "not counted: figures, the intervals of the results, searches for a deployment, pretrainings; "
    "early stopping (patience) makes runs shorter"
)


@dataclass(frozen=True)
class Machines:
    """What a study runs on.

    Args:
        jobs: Runs at a time on a machine.
        count: Machines such as this one, or GPUs such as its.
        speedup: How many times as fast as here a step is there.

    Raises:
        ConfigError: A number is out of range.
    """

    jobs: int = 1
    count: int = 1
    speedup: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for option, value in (("--jobs", self.jobs), ("--machines", self.count)):
            if value < 1:
                raise ConfigError(f"{option} {value}: must be at least 1.")
        if not 0 < self.speedup < float("inf"):
            raise ConfigError(f"--speedup {self.speedup:g}: must be above 0.")


@dataclass(frozen=True)
class StudyForecast:
    """What a study will cost.

    Attributes:
        table: A line a config.
        lines: The study's hours, memory and disk, what the limit is, and how it was computed.
        seconds: Of the whole study.
    """

    table: Table
    lines: tuple[str, ...]
    seconds: float


def forecast_study(
    plan: Plan,
    machines: Machines,
    device: torch.device,
    measuring: Callable[..., Measured] = measure,
) -> StudyForecast:
    """Measure each config of a plan on this machine, and multiply.

    Args:
        plan: The runs; those that have finished are left out.
        machines: What they will run on.
        device: Where to measure.
        measuring: `measure`, or a stand-in of a test.

    Raises:
        CliqaError: A config cannot be built, or its data are missing and needed.
    """
    waiting = [run for run in plan.runs if not run.is_finished()]
    examples = {run.name: run for run in reversed(waiting)}
    names = [name for name in plan.names if name in examples]
    imports = time.process_time()
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, max(1, usable_cpus() // machines.jobs)))
    measured: dict[str, Measured] = {}
    try:
        with Phase("measuring", len(names), "config") as bar:
            for name in names:
                measured[name] = measuring(_config(examples[name]), device, imports)
                bar.update()
    finally:
        torch.set_num_threads(before)
    return summarised(plan, waiting, measured, machines, device)


def _config(run: PlannedRun) -> dict[str, Any]:
    """Return a run's config; without the encoder of a pretraining that is still to come."""
    config = dict(run.config)
    if run.before is not None:
        config["load_from"] = None
    return config


def summarised(
    plan: Plan,
    waiting: Sequence[PlannedRun],
    measured: Mapping[str, Measured],
    machines: Machines,
    device: torch.device,
) -> StudyForecast:
    """Return the forecast of the runs that are waiting."""
    costs = {name: run_cost(one, machines.speedup) for name, one in measured.items()}
    counts = {name: sum(run.name == name for run in waiting) for name in measured}
    on_gpu = device.type == "cuda"
    places = machines.jobs * machines.count
    seconds = study_seconds(
        [costs[run.name] for run in waiting], places, machines.count if on_gpu else 0
    )
    rows = [_row(name, measured[name], costs[name], counts[name]) for name in measured]
    table = Table("Forecast", HEADER, tuple(rows))
    lines = [
        f"{len(waiting)} of {len(plan.runs)} runs are left: about {_hours(seconds)} on "
        f"{_machines(machines)} ({sum(c.seconds * counts[n] for n, c in costs.items()) / 3600:.2f} "
        "hours one after the other)"
    ]
    if measured:
        lines += [_memory(measured, machines, on_gpu), _disk(plan, measured, counts)]
        lines += [_limit(costs, counts), *_how(measured, machines, device)]
    return StudyForecast(table, tuple(lines), seconds)


def _row(name: str, measured: Measured, cost: RunCost, runs: int) -> tuple[str, ...]:
    times = measured.timings
    load = times.load if measured.kept else times.first_load
    hours = cost.seconds / 3600
    numbers = (f"{times.step:.4f}", f"{load:.4f}", f"{times.predict:.4f}", f"{hours:.3f}")
    return (name, str(runs), str(cost.steps), *numbers, f"{hours * runs:.3f}", cost.limit)


def _memory(measured: Mapping[str, Measured], machines: Machines, on_gpu: bool) -> str:
    """Return the line on memory."""
    most = max(measured, key=lambda name: measured[name].memory)
    one = measured[most].timings.memory if on_gpu else measured[most].memory
    there = int(torch.cuda.mem_get_info()[1]) if on_gpu else available_memory()
    needed = one * machines.jobs
    told = f"memory: {_size(one)} a run ({most}) x {machines.jobs} = {_size(needed)}"
    kind = "of the GPU" if on_gpu else "that is free"
    if needed > there:
        fits = max(1, there // max(1, one))
        return f"{told}, more than the {_size(there)} {kind}. Take --jobs {fits}."
    return f"{told} of the {_size(there)} {kind}"


def _disk(plan: Plan, measured: Mapping[str, Measured], counts: Mapping[str, int]) -> str:
    """Return the line on the disk."""
    runs = sum(one.disk * counts[name] for name, one in measured.items())
    images = max((one.kept_bytes for one in measured.values() if one.kept == "disk"), default=0)
    there = free_space(Path(plan.out).absolute())
    told = f"disk: {_size(runs)} of checkpoints"
    told += f" and {_size(images)} of decoded images" if images else ""
    if runs + images > there:
        return f"{told}, more than the {_size(there)} that are free. Choose another --out."
    return f"{told} of the {_size(there)} that are free"


def _limit(costs: Mapping[str, RunCost], counts: Mapping[str, int]) -> str:
    """Return the line on what takes the time."""
    sums = {
        "steps": sum(c.training * counts[n] for n, c in costs.items()),
        "waiting for images": sum(c.loading * counts[n] for n, c in costs.items()),
        "starts and ends of experiences": sum(c.method * counts[n] for n, c in costs.items()),
        "evaluation": sum(c.evaluation * counts[n] for n, c in costs.items()),
        "starts of processes": sum(c.start * counts[n] for n, c in costs.items()),
    }
    total = sum(sums.values()) or 1.0
    parts = sorted(sums.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{what} {100 * value / total:.0f} %" for what, value in parts if value)
    return f"time: {shown}"


def _how(measured: Mapping[str, Measured], machines: Machines, device: torch.device) -> list[str]:
    """Return the lines on how it was computed, and what was not."""
    gone = [name for name, one in measured.items() if not one.real]
    workers = " or ".join(map(str, sorted({one.workers for one in measured.values()})))
    threads = torch.get_num_threads()
    lines = [
        "a run: steps x (s/step / X, at least s/load / workers; without workers s/step / X + "
        "s/load) + starts and ends of experiences / X + images to validate and test x s/image / X "
        "+ its own start",
        f"measured on this machine ({device}, {threads} thread{'s' * (threads != 1)}, {workers} "
        f"worker{'s' * (workers != '1')}), X = {machines.speedup:g}"
        + (", as you gave it: not measured" if machines.speedup != 1 else ""),
        NOT_COUNTED,
    ]
    if gone:
        lines.append(
            f"data are missing ({', '.join(gone)}): official sizes, and steps timed on made-up "
            f"images of {SIZE[0]} x {SIZE[1]}"
        )
    return lines


def _machines(machines: Machines) -> str:
    jobs = f"{machines.jobs} job{'s' if machines.jobs > 1 else ''}"
    return f"{jobs} on each of {machines.count} machines" if machines.count > 1 else jobs


def _hours(seconds: float) -> str:
    return f"{duration(seconds)} ({seconds / 3600:.2f} hours)"


def _size(count: int) -> str:
    """Return a number of bytes for people.

    >>> _size(2_500_000_000), _size(12_000_000)
    ('2.5 GB', '12 MB')
    """
    return f"{count / 10**9:.1f} GB" if count >= 10**9 else f"{count / 10**6:.0f} MB"
