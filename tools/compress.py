"""Make a trained model deployable: ``python tools/compress.py export work_dirs/demo``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.utils.cli import run_entry_point


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments; ``run`` is the subcommand's function."""
    parser = argparse.ArgumentParser(description="Make a trained model deployable.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_export(commands)
    return parser.parse_args(argv)


def add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export``."""
    parser = commands.add_parser(
        "export",
        help="write one ONNX file with weights and preprocessing",
        description="Write a checkpoint's model as one ONNX file, compared with it at several "
        "batch sizes. Adapters are merged; a gate among experiences is in the file.",
    )
    parser.add_argument("checkpoint", help="work_dir or checkpoint")
    parser.add_argument("--out", help="file to write (default: model.onnx in the work_dir)")
    parser.add_argument(
        "--size", help="224, or height x width as 384x512 (default: what the preprocessing gives)"
    )
    parser.add_argument(
        "--dynamic-size",
        nargs="?",
        const="always",
        choices=("always", "auto", "never"),
        help="let images have any size: always, or auto: where that can be had (default: auto "
        "where the preprocessing leaves images their own size, else never)",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        help="largest difference to the model, relative to outputs above 1 (default: 1e-5; 1e-4 "
        "for Swin transformers and generated weights)",
    )
    parser.set_defaults(run=export)


def export(args: argparse.Namespace) -> None:
    """Export a checkpoint and say what was written."""
    from cliqa.engine.compress_export import (  # noqa: PLC0415  --help answers without it
        export_checkpoint,
        report_lines,
    )
    from cliqa.engine.profile import parse_size  # noqa: PLC0415

    report = export_checkpoint(
        args.checkpoint,
        args.out,
        size=parse_size(args.size, "--size") if args.size else None,
        dynamic_size={"always": True, "never": False}.get(args.dynamic_size, args.dynamic_size),
        tolerance=args.tolerance,
    )
    print("\n".join(report_lines(report)))


def main(argv: Sequence[str] | None = None) -> None:
    """Run a subcommand."""
    args = parse_args(argv)
    args.run(args)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
