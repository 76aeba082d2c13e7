"""Share a model: ``cliqa share work_dirs/demo owner/name --license cc-by-4.0``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliqa.config.trust import trusting
from cliqa.hub.address import check_repository
from cliqa.hub.licences import EXAMPLES, check_licence
from cliqa.hub.source import check_run_folder
from cliqa.utils.arguments import add_arguments
from cliqa.utils.cli import command
from cliqa.utils.paths import check_new_folder


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Send a run's model to the Hub of Hugging Face, with weights as safetensors, "
        "an ONNX file and a model card; or write the same folder without the network."
    )
    parser.add_argument("run", help="work_dir of a run whose last experience has ended")
    parser.add_argument("repository", metavar="OWNER/NAME", help="where it is on the Hub")
    parser.add_argument(
        "--license",
        metavar="ID",
        help=f"the model's licence by the Hub's identifier: {EXAMPLES}, or other; no default",
    )
    parser.add_argument("--license-name", metavar="NAME", help="of --license other")
    parser.add_argument("--license-link", metavar="URL", help="of --license other: its text")
    parser.add_argument("--private", action="store_true", help="the repository has to be private")
    parser.add_argument("--out", metavar="FOLDER", help="write this folder, and send nothing")
    parser.add_argument("--no-onnx", action="store_true", help="without model.onnx")
    parser.add_argument("--message", default="Share a model of cliqa", help="of the commit")
    add_arguments(parser, "--trust")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Write the shared model, and send it unless a folder was asked for."""
    licence = check_licence(args.license, args.license_name, args.license_link)
    check_repository(args.repository)
    check_run_folder(args.run)
    if args.out:
        check_new_folder(args.out, "--out")
    from cliqa.hub.share import share  # noqa: PLC0415  imports torch

    shared = share(
        args.run,
        args.repository,
        licence,
        private=args.private,
        folder=args.out,
        export=not args.no_onnx,
        message=args.message,
    )
    print("\n".join(shared.lines()))
