"""Measure size, MACs, latency and memory: ``cliqa profile work_dirs/demo``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cliqa.config.trust import trusting
from cliqa.evaluation.records.table_styles import STYLES
from cliqa.utils.arguments import add_arguments, check_at_least
from cliqa.utils.cli import command
from cliqa.utils.paths import check_output_file

REPORTS = (".json", *STYLES)
"""Endings of a report's file."""


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Measure models: parameters, MACs, latency, throughput and memory.",
        epilog="A MAC is a multiplication and an addition; FLOPs = 2 MACs. 'CPU ms' is the time of "
        "the process on all its threads: on a busy machine it is steadier than the wall time.",
    )
    parser.add_argument(
        "models",
        nargs="+",
        help="work_dirs, checkpoints, exported models (.onnx, .xml), or configs (.py)",
    )
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[1], help="default: 1")
    parser.add_argument(
        "--sizes",
        nargs="+",
        help="224, or height x width as 384x512 (default: the run's own)",
    )
    parser.add_argument("--threads", type=int, help="threads of the CPU (default: PyTorch's)")
    parser.add_argument("--warmup", type=int, default=3, help="passes that do not count")
    parser.add_argument("--repeats", type=int, default=20, help="passes that count (default: 20)")
    parser.add_argument("--out", type=Path, help=f"file to write: {', '.join(REPORTS)}")
    add_arguments(parser, "--device", "--format", "--trust")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Measure, print the tables and write the file."""
    _check(args)
    import torch  # noqa: PLC0415  --help answers without what follows

    from cliqa.compress import profile  # noqa: PLC0415
    from cliqa.compress.image_size import parse_size  # noqa: PLC0415
    from cliqa.evaluation.records.table_styles import render  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415

    sizes = [parse_size(text) for text in args.sizes or ()]
    device = resolve_device(args.device)
    if args.threads:
        torch.set_num_threads(args.threads)
    models = [profile.load_profiled(path, device) for path in args.models]
    passes = {"warmup": args.warmup, "repeats": args.repeats}
    rows = [
        row
        for model in models
        for row in profile.profile_model(model, args.batch_sizes, sizes, device, **passes)
    ]
    print(render(profile.parameter_table(models), args.format))
    print(render(profile.profile_table(rows), args.format), end="")
    for model in models:
        if model.crops > 1:
            print(f"{model.name}: an evaluation makes {model.crops} crops of every image.")
    if args.out:
        profile.write_report(args.out, models, rows)
        print(f"written: {args.out}")


def _check(args: argparse.Namespace) -> None:
    """Raise a ConfigError for numbers that are out of range."""
    check_at_least(1, "--repeats", args.repeats)
    check_at_least(1, "--threads", args.threads)
    check_at_least(1, "--batch-sizes", *args.batch_sizes)
    check_at_least(0, "--warmup", args.warmup)
    check_output_file(args.out, suffixes=REPORTS, inputs=args.models)
