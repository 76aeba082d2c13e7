"""Evaluate models on data sets: ``cliqa evaluate work_dirs/a work_dirs/a/model.onnx``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cliqa.config.trust import trusting
from cliqa.evaluation.records.table_styles import STYLES
from cliqa.utils.arguments import EXECUTION, PROTOCOL, add_arguments, check_range, seed
from cliqa.utils.cli import command
from cliqa.utils.paths import (
    check_output_file,
    check_output_files,
    check_output_folder,
    named_checkpoint,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Evaluate checkpoints and exported files, each with the model and "
        "preprocessing that it holds."
    )
    parser.add_argument("checkpoints", nargs="+", help="work_dirs, checkpoints, .onnx or .xml")
    parser.add_argument(
        "--datasets",
        nargs="+",
        default=[],
        metavar="NAME",
        help="data sets of the checkpoint's config by name, others as TYPE=ROOT, or a csv or json "
        "file of scores as FILE=IMAGE_ROOT (default: all, every one of the config)",
    )
    add_arguments(
        parser, "--checkpoint", "--split", "--score-range", "--lower-is-better", *PROTOCOL
    )
    parser.add_argument(
        "--dataset-root", metavar="FOLDER", help="where the config's data sets lie now"
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of random crops (default: 0)")
    add_arguments(parser, "--allow-changed-data")
    parser.add_argument(
        "--out",
        help="for one checkpoint a .json file, for several a folder (default: eval_results.json "
        "in each work_dir, eval_results_exp_0.json for exp_0.pth)",
    )
    parser.add_argument(
        "--table",
        nargs="+",
        default=[],
        metavar="FILE",
        help="tables to write: .md, .txt, .tex or .html for people, .csv with every digit",
    )
    parser.add_argument("--batch-size", type=int, help="images a batch (default: the run's)")
    add_arguments(parser, "--num-workers", "--device", *EXECUTION, "--format", "--trust")
    parser.set_defaults(num_workers=None)  # threads, which start at once
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Evaluate, write each checkpoint's results, and print a table of all of them."""
    args.checkpoints = [named_checkpoint(path, args.named) for path in args.checkpoints]
    _check_outputs(args)
    low, high = check_range("--score-range", args.score_range)
    from cliqa.datasets.labels.scale import Scale  # noqa: PLC0415
    from cliqa.evaluation.records.eval_results import evaluation_report  # noqa: PLC0415
    from cliqa.inference.evaluate import evaluate_checkpoints  # noqa: PLC0415  --help is fast
    from cliqa.inference.evaluation_request import EvalRequest  # noqa: PLC0415
    from cliqa.inference.execution.precision import asked_execution  # noqa: PLC0415
    from cliqa.transforms.protocol import parse_protocol  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415
    from cliqa.utils.io import write_text  # noqa: PLC0415

    request = EvalRequest(
        data_sets=args.datasets,
        split=args.split,
        protocol=parse_protocol(args.crops, args.crop_size, args.resize, args.seed),
        scale=Scale(low, high, not args.lower_is_better) if args.score_range else None,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        allow_changed_data=args.allow_changed_data,
        dataset_root=args.dataset_root,
        execution=asked_execution(args.precision, args.compile),
    )
    device = resolve_device(args.device)
    results, comparisons = evaluate_checkpoints(args.checkpoints, request, device, args.out)
    for name in args.table:
        style = STYLES[Path(name).suffix]
        write_text(name, evaluation_report(results, comparisons, style))
    sys.stdout.write(evaluation_report(results, comparisons, args.format))


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse files and folders that cannot be written, before anything is read."""
    read = [*args.checkpoints, *(name.partition("=")[0] for name in args.datasets)]
    if args.out and Path(args.out).suffix == ".json":
        check_output_file(args.out, inputs=read)
    else:
        check_output_folder(args.out)
    check_output_files(args.table, "--table", tuple(STYLES), inputs=read)
