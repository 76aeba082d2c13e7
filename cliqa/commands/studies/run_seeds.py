"""Compare configs over seeds: ``cliqa study config/demo.py --seeds 0 1 2``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cliqa.commands.studies.plans import print_forecast, run_plans
from cliqa.config.trust import trusting
from cliqa.studies.backends.options import BackendOptions
from cliqa.utils.arguments import STUDY, add_argument, add_arguments
from cliqa.utils.cli import command
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_folder, config_path


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
    add_argument(parser, "--out", default=Path("work_dirs/study"))
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
    add_arguments(parser, "--dry-run")
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
    from cliqa.studies.bracket import Bracket  # noqa: PLC0415
    from cliqa.studies.plan import plan_study  # noqa: PLC0415
    from cliqa.studies.study import labels_of, write_study  # noqa: PLC0415

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
        count = 1 if args.machines is None else args.machines
        return print_forecast(plan, args, count, 1.0 if args.speedup is None else args.speedup)
    labels = labels_of(plan.names, args.labels, bounds=plan.bounds)

    def write() -> tuple[str, list[Path]]:
        study, files = write_study(plan, labels, [args.format])
        return study_report(study, args.format), files

    return run_plans([plan], args, options, write)
