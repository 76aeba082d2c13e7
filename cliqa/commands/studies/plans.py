"""What the commands of studies do with their plans: run them, tell the outcome, or forecast it.

Not a command itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.studies.backends.options import BackendOptions
from cliqa.utils.cli import print_error

if TYPE_CHECKING:
    from cliqa.studies.plan import Plan

Write = Callable[[], "tuple[str, list[Path]]"]
"""Sums up what has finished: returns its table, and the files that it has written."""


def run_plans(
    plans: Sequence[Plan], args: argparse.Namespace, options: BackendOptions, write: Write
) -> int:
    """Run what has not finished, write and print the table; return the exit status.

    Args:
        plans: The runs.
        args: The arguments `STUDY` of the command line, and ``--out``.
        options: Where they run.
        write: Called once all have ended, if any has finished.

    Returns:
        1 if a run has failed.
    """
    from cliqa.studies.backends.commands import TRAIN  # noqa: PLC0415
    from cliqa.studies.study import run_study  # noqa: PLC0415  --help is fast

    with options.opened(args.out) as backend:
        failures = [
            failure
            for plan in plans
            for failure in run_study(
                plan,
                TRAIN,
                backend,
                device=args.device,
                allow_changed_data=args.allow_changed_data,
            )
        ]
    try:
        if any(run.is_finished() for plan in plans for run in plan.runs):
            table, files = write()
            print(table)
            for file in files:
                print(file)
    finally:
        for failure in failures:
            print_error(f"failed: {failure}")
    return 1 if failures else 0


def print_forecast(
    plan: Plan, args: argparse.Namespace, count: int = 1, speedup: float = 1.0
) -> int:
    """Print what a plan will cost; return the exit status.

    Args:
        plan: The runs.
        args: The arguments `STUDY` of the command line.
        count: Machines such as this one.
        speedup: How many times as fast as here a step is there.
    """
    from cliqa.evaluation.records.table_styles import render  # noqa: PLC0415
    from cliqa.studies.forecast.report import Machines, forecast_study  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415

    machines = Machines(args.jobs or 1, count, speedup)
    found = forecast_study(plan, machines, resolve_device(args.device))
    print(render(found.table, args.format))
    for line in found.lines:
        print(line)
    return 0
