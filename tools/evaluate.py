"""Evaluate models on data sets: ``python tools/evaluate.py work_dirs/a work_dirs/a/model.onnx``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.config.trust import trusting
from cliqa.utils.cli import (
    add_changed_data_argument,
    add_protocol_arguments,
    add_trust_argument,
    add_workers_argument,
    run_entry_point,
)
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file, check_output_files, check_output_folder

STYLES = {".md": "markdown", ".txt": "text", ".csv": "csv"}


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
        "file of scores as FILE=IMAGE_ROOT (default: all of the config)",
    )
    parser.add_argument(
        "--split", default="test", choices=("test", "val", "train", "all"), help="default: test"
    )
    parser.add_argument(
        "--score-range", nargs=2, type=float, metavar=("LOW", "HIGH"), help="of files of scores"
    )
    parser.add_argument(
        "--lower-is-better", action="store_true", help="files of scores hold a DMOS"
    )
    add_protocol_arguments(parser)
    add_changed_data_argument(parser)
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
        help="tables to write: .md or .txt for people, .csv with every digit",
    )
    parser.add_argument("--batch-size", type=int, help="images a batch (default: the run's)")
    add_workers_argument(parser)
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    add_trust_argument(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, write each checkpoint's results, and print a table of all of them."""
    args = parse_args(argv)
    with trusting(args.trust):
        _main(args)


def _main(args: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    _check_outputs(args)
    low, high = args.score_range or (0.0, 1.0)
    if not low < high:
        raise ConfigError(f"--score-range {low:g} {high:g}: LOW must be below HIGH.")
    from cliqa.evaluation.records.eval_results import evaluation_report  # noqa: PLC0415
    from cliqa.inference.evaluate import evaluate_checkpoints  # noqa: PLC0415  --help is fast
    from cliqa.inference.evaluation_request import EvalRequest, Scale  # noqa: PLC0415
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
    )
    device = resolve_device(args.device)
    results, comparisons = evaluate_checkpoints(args.checkpoints, request, device, args.out)
    for name in args.table:
        style = STYLES[Path(name).suffix]
        write_text(name, evaluation_report(results, comparisons, style))  # type: ignore[arg-type]
    sys.stdout.write(evaluation_report(results, comparisons))


def _check_outputs(args: argparse.Namespace) -> None:
    """Refuse files and folders that cannot be written, before anything is read."""
    read = [*args.checkpoints, *(name.partition("=")[0] for name in args.datasets)]
    if args.out and Path(args.out).suffix == ".json":
        check_output_file(args.out, inputs=read)
    else:
        check_output_folder(args.out)
    check_output_files(args.table, "--table", tuple(STYLES), inputs=read)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
