"""Replay, adapters, texts and compression compared: ``cliqa four-phases --data ROOT``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cliqa.commands.studies.plans import print_forecast, run_plans
from cliqa.config.trust import trusting
from cliqa.studies.backends.options import BackendOptions
from cliqa.utils.arguments import STUDY, add_argument, add_arguments, check_at_least
from cliqa.utils.cli import command
from cliqa.utils.errors import DatasetError
from cliqa.utils.paths import check_output_folder

SEEDS, EPOCHS = (0, 1, 2, 3, 4), 10
QUICK_SEEDS, QUICK_EPOCHS = (0,), 3


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Compare fine-tuning, replay (ER), LoRA, texts, INT8 and all of them together "
        "on Split Fashion-MNIST: accuracy, forgetting, trained parameters, size and speed of the "
        "exported file, training time. The same command continues where it was stopped."
    )
    parser.add_argument(
        "--data",
        metavar="ROOT",
        help="folder of Fashion-MNIST as torchvision keeps it (default: data)",
    )
    parser.add_argument(
        "--download", action="store_true", help="have torchvision download it there if it is absent"
    )
    parser.add_argument(
        "--epochs", type=int, help=f"epochs of every task, in every row (default: {EPOCHS})"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"one seed and {QUICK_EPOCHS} epochs, unless these are given: a trial of the command, "
        "no result",
    )
    shown = " ".join(map(str, SEEDS))
    add_argument(parser, "--seeds", default=None, help=f"seeds of the runs (default: {shown})")
    parser.add_argument(
        "--rounds",
        type=int,
        default=7,
        help="rounds of the speed measurement, after all training (default: 7)",
    )
    add_argument(parser, "--out", default=Path("work_dirs/four_phases"))
    add_arguments(parser, "--dry-run", *STUDY)
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> int:
    """Run the study, write and print its table; the status is 1 if a run has failed."""
    options = BackendOptions.of(args)
    check_at_least(1, "--rounds", args.rounds)
    check_output_folder(args.out)
    from cliqa.studies.phases import plan_phases  # noqa: PLC0415  --help is fast

    plan = plan_phases(
        args.seeds or (QUICK_SEEDS if args.quick else SEEDS),
        args.out,
        epochs=args.epochs if args.epochs is not None else QUICK_EPOCHS if args.quick else EPOCHS,
        data=args.data,
        options=args.cfg_options,
    )
    _check_data(plan.runs[0].config["scenario"], args.download)
    if args.dry_run:
        return print_forecast(plan, args)

    def write() -> tuple[str, list[Path]]:
        from cliqa.compress.phases import write_phases  # noqa: PLC0415
        from cliqa.evaluation.records.phases import phases_report  # noqa: PLC0415

        phases, files = write_phases(
            plan,
            rounds=args.rounds,
            allow_changed_data=args.allow_changed_data,
            styles=[args.format],
        )
        return phases_report(phases, args.format), files

    return run_plans([plan], args, options, write)


def _check_data(scenario: Mapping[str, Any], download: bool) -> None:
    """Look for the data before any work; download them here once, as several runs would.

    Raises:
        DatasetError: They are missing.
    """
    from cliqa.datasets.classes.fashion_files import fashion_folder  # noqa: PLC0415
    from cliqa.datasets.classes.fashion_mnist import read_fashion_mnist  # noqa: PLC0415

    root = scenario["dataset_root"]
    if download:
        read_fashion_mnist(root, download=True)
        return
    try:
        fashion_folder(root)
    except DatasetError as error:
        text = str(error).replace("Set scenario.download=True", "Add --download")
        raise DatasetError(text) from error
