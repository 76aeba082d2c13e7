"""Evaluate a config's checkpoint: ``cliqa test config/demo.py``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cliqa.config.trust import trusting
from cliqa.utils.arguments import CONFIG, EXECUTION, add_arguments
from cliqa.utils.cli import command
from cliqa.utils.paths import check_output_file, named_checkpoint


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Evaluate a checkpoint on data sets.")
    add_arguments(parser, *CONFIG, "--split", *EXECUTION, "--allow-changed-data")
    parser.add_argument(
        "checkpoint", nargs="?", help="checkpoint or work_dir (default: the config's work_dir)"
    )
    add_arguments(parser, "--checkpoint")
    parser.add_argument(
        "--exported", metavar="FILE.onnx", help="a file that cliqa compress exported"
    )
    parser.add_argument(
        "--datasets",
        nargs="+",
        default=[],
        metavar="NAME",
        help="data sets of the config by name, or others as TYPE=ROOT (default: all of the config)",
    )
    parser.add_argument(
        "--out",
        help="file to write (default: eval_results.json in the work_dir)",
    )
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Evaluate one checkpoint and write its metrics and predictions."""
    check_output_file(args.out, inputs=[args.config, args.checkpoint or args.work_dir or ""])
    from cliqa.config.components import quick_check  # noqa: PLC0415
    from cliqa.config.load import default_work_dir, load_config  # noqa: PLC0415  --help is fast

    config = load_config(args.config, args.cfg_options)
    quick_check(config)
    if args.named:
        folder = args.checkpoint or args.work_dir or config.get("work_dir")
        args.checkpoint = named_checkpoint(folder or default_work_dir(args.config), args.named)
    from cliqa.inference.evaluate import (  # noqa: PLC0415  torch and Avalanche take seconds
        evaluate,
        evaluation_table,
    )
    from cliqa.inference.execution.precision import asked_execution  # noqa: PLC0415

    results = evaluate(
        config,
        config_file=args.config,
        checkpoint=args.checkpoint,
        exported=args.exported,
        data_sets=args.datasets,
        split=args.split,
        out=args.out,
        work_dir=args.work_dir,
        device=args.device,
        seed=args.seed,
        allow_changed_data=args.allow_changed_data,
        execution=asked_execution(args.precision, args.compile),
    )
    sys.stdout.write(evaluation_table(results))
