"""Compare configs over seeds: ``cliqa study config/demo.py --seeds 0 1 2``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.config.trust import trusting
from cliqa.studies.backends.options import BackendOptions
from cliqa.utils.arguments import STUDY, add_arguments
from cliqa.utils.cli import command, print_error
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_folder, config_path

if TYPE_CHECKING:
    from cliqa.studies.plan import Plan


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Train configs over several seeds, and compare their means. "
        "The same command continues where it was stopped."
    )
    parser.add_argument(
        "configs", type=config_path, nargs="+", metavar="CONFIG", help="e.g. cliqa::demo.py"
    )
    add_arguments(parser, "--seeds")
    parser.add_argument(
        "--orders",
        nargs="+",
        default=[],
        metavar="A,B,C",
        help="orders of the data sets; every one is run with every seed",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("work_dirs/study"),
        help="folder of the study (default: work_dirs/study)",
    )
    parser.add_argument(
        "--naive",
        metavar="CONFIG",
        help="config of the lower bound (default: X_naive.py beside X_method.py)",
    )
    parser.add_argument(
        "--joint",
        metavar="CONFIG",
        help="config of the upper bound (default: X_joint.py beside X_method.py)",
    )
    parser.add_argument("--no-bracket", action="store_true", help="train neither of these bounds")
    parser.add_argument(
        "--arm",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "KEY=VALUE"),
        help="a variant of the configs (with --pretraining of those that start from it), which "
        "takes their place; give it once for each: --arm short pretrain.epochs=3",
    )
    parser.add_argument(
        "--pretraining",
        metavar="CONFIG",
        help="a pretraining that is run first for every seed; the configs that have load_from "
        "start from its encoder",
    )
    parser.add_argument(
        "--labels",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names to show, one for each config or variant",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="train nothing: time a few steps of each config, and print the hours, the memory and "
        "the disk that the study will take",
    )
    parser.add_argument(
        "--machines",
        type=int,
        metavar="N",
        help="with --dry-run: compute for N machines like this one, or GPUs like its own "
        "(default: 1)",
    )
    parser.add_argument(
        "--speedup",
        type=float,
        metavar="X",
        help="with --dry-run: a step takes 1/X there, as you have measured it (default: 1)",
    )
    add_arguments(parser, "--data", *STUDY)
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> int:
    """Run a study, write and print its table; the status is 1 if a run has failed."""
    options = BackendOptions.of(args)
    check_output_folder(args.out)
    if not args.dry_run and (args.machines is not None or args.speedup is not None):
        raise ConfigError("--machines and --speedup are for --dry-run, which computes with them.")
    if args.no_bracket and (args.naive or args.joint):
        raise ConfigError("--no-bracket and --naive or --joint contradict each other.")
    from cliqa.config.load import load_config  # noqa: PLC0415
    from cliqa.datasets.own.options import data_options  # noqa: PLC0415
    from cliqa.evaluation.records.study_tables import study_report  # noqa: PLC0415
    from cliqa.studies.arms import variants_of  # noqa: PLC0415  --help is fast
    from cliqa.studies.backends.commands import TRAIN  # noqa: PLC0415
    from cliqa.studies.bracket import Bracket  # noqa: PLC0415
    from cliqa.studies.plan import plan_study  # noqa: PLC0415
    from cliqa.studies.study import labels_of, run_study, write_study  # noqa: PLC0415

    load = partial(load_config, args.configs[0])
    plan = plan_study(
        args.configs,
        args.seeds,
        args.out,
        bracket=Bracket(args.naive, args.joint, look=not args.no_bracket),
        orders=[tuple(order.split(",")) for order in args.orders],
        options=data_options(args.data, load, args.cfg_options),
        variants=variants_of(args.arm),
        pretraining=args.pretraining,
    )
    if args.dry_run:
        return _forecast(plan, args)
    labels = labels_of(plan.names, args.labels, bounds=plan.bounds)
    with options.opened(args.out) as backend:
        failures = run_study(
            plan,
            TRAIN,
            backend,
            device=args.device,
            allow_changed_data=args.allow_changed_data,
        )
    if any(run.is_finished() for run in plan.runs):
        study, files = write_study(plan, labels, [args.format])
        print(study_report(study, args.format))
        for file in files:
            print(file)
    for failure in failures:
        print_error(f"failed: {failure}")
    return 1 if failures else 0


def _forecast(plan: Plan, args: argparse.Namespace) -> int:
    """Print what a study will cost."""
    from cliqa.evaluation.records.table_styles import render  # noqa: PLC0415
    from cliqa.studies.forecast.report import Machines, forecast_study  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415

    count = 1 if args.machines is None else args.machines
    speedup = 1.0 if args.speedup is None else args.speedup
    machines = Machines(args.jobs or 1, count, speedup)
    found = forecast_study(plan, machines, resolve_device(args.device))
    print(render(found.table, args.format))
    for line in found.lines:
        print(line)
    return 0
