"""Compare a config with and without pretraining, on few and on more labelled images.

``cliqa compare-pretraining config/plain.py config/pretrained.py --images 50 200``
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cliqa.commands.studies.plans import run_plans
from cliqa.config.trust import trusting
from cliqa.studies.backends.options import BackendOptions
from cliqa.utils.arguments import STUDY, add_argument, add_arguments
from cliqa.utils.cli import command
from cliqa.utils.paths import check_output_folder, config_path


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Train two configs, which should differ only in their initial weights, on few "
        "and on more labelled images and over seeds. The same command continues where it was "
        "stopped."
    )
    parser.add_argument("baseline", type=config_path, help="config without pretraining")
    parser.add_argument("pretrained", type=config_path, help="config with pretraining")
    parser.add_argument(
        "--images",
        nargs="+",
        type=int,
        default=[50, 150, 500],
        metavar="N",
        help="labelled training images of each data set (default: 50 150 500)",
    )
    parser.add_argument(
        "--pretraining",
        metavar="CONFIG",
        help="run this pretraining first for every seed; the second config starts from its encoder",
    )
    parser.add_argument("--labels", nargs=2, default=[], help="names to show for the two configs")
    add_argument(parser, "--out", default=Path("work_dirs/label_study"))
    add_arguments(parser, "--seeds", *STUDY)
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> int:
    """Run the study, write and print its table; the status is 1 if a run has failed."""
    options = BackendOptions.of(args)
    check_output_folder(args.out)
    from cliqa.evaluation.records.study_tables import label_table  # noqa: PLC0415
    from cliqa.studies.plan_check import check_plan  # noqa: PLC0415
    from cliqa.studies.study import (  # noqa: PLC0415  --help is fast
        labels_of,
        plan_label_study,
        write_label_study,
    )

    plans = plan_label_study(
        args.baseline,
        args.pretrained,
        args.images,
        args.seeds,
        args.out,
        args.cfg_options,
        args.pretraining,
    )
    labels = labels_of([Path(f).stem for f in (args.baseline, args.pretrained)], args.labels)
    for plan in plans.values():  # all numbers of images before the first run
        check_plan(plan, args.allow_changed_data)

    def write() -> tuple[str, list[Path]]:
        study, files = write_label_study(plans, args.out, labels, [args.format])
        return label_table(study, args.format), files

    return run_plans(list(plans.values()), args, options, write)
