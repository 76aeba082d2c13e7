"""Make and prepare CLEAR data sets: ``cliqa data clear COMMAND --help``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from cliqa.config.option_values import parse_value
from cliqa.utils.arguments import add_arguments
from cliqa.utils.paths import check_new_folder


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Make and prepare CLEAR data sets.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    command = add("prepare", "write training_folder: lists of images, and splits")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("--overwrite", action="store_true", help="replace lists that differ")

    command = add("fewshot", "draw few-shot training images from the training split")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("--shot", type=int, default=5, help="images per class and bucket (5)")
    command.add_argument("--seed", type=int, default=0, help="of the split and the draw (0)")

    command = add("features", "write the features that a pretrained network makes of the images")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("--name", required=True, help="name of the features")
    command.add_argument("--checkpoint", help="file of the network's weights")
    command.add_argument("--arch", default="resnet50", help="name, or dict(type=...) (resnet50)")
    command.add_argument("--batch-size", type=int, default=64, help="default: 64")
    add_arguments(command, "--device", "--num-workers")
    command.add_argument("--overwrite", action="store_true", help="replace features of that name")

    command = add("create", "cut a data set into buckets anew")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("out", help="a new folder")
    command.add_argument("--sort-by", default="date_taken", metavar="KEY", help="key of metadata")
    command.add_argument("--buckets", type=int, help="default: as many as there are")
    command.add_argument("--link", action="store_true", help="link the images, do not copy them")

    command = add("from-folder", "make CLEAR's layout from FOLDER/[BUCKET/]CLASS/images")
    command.add_argument("folder", help="a folder of folders of images")
    command.add_argument("out", help="a new folder")
    command.add_argument("--buckets", type=int, default=10, help="default: 10")
    command.add_argument("--order", choices=("date", "name"), default="date", help="(date)")
    command.add_argument("--link", action="store_true", help="link the images, do not copy them")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and report the files."""
    args = parse_args(argv)
    RUN[args.command](args)


def _prepare(args: argparse.Namespace) -> None:
    from cliqa.datasets.clear.prepare import prepare  # noqa: PLC0415

    prepare(args.root, overwrite=args.overwrite)


def _fewshot(args: argparse.Namespace) -> None:
    from cliqa.datasets.clear.fewshot import get_fewshot_indices  # noqa: PLC0415

    get_fewshot_indices(args.root, args.shot, args.seed)
    print(f"{args.root}: the {args.shot}-shot lists of seed {args.seed} are written. Train with")
    print(f"scenario.evaluation_protocol=iid scenario.seed={args.seed} scenario.shot={args.shot}")


def _features(args: argparse.Namespace) -> None:
    from cliqa.inference.features import get_pretrained_features  # noqa: PLC0415

    get_pretrained_features(
        args.root,
        args.name,
        args.checkpoint,
        parse_value(args.arch, "", "--arch"),
        device=args.device,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        overwrite=args.overwrite,
    )


def _create(args: argparse.Namespace) -> None:
    check_new_folder(args.out)
    from cliqa.datasets.clear.create import create_dataset  # noqa: PLC0415

    process = partial(sorted, key=lambda record: record[args.sort_by])
    copy: Literal["copy", "link"] = "link" if args.link else "copy"
    create_dataset(args.root, args.out, process, buckets=args.buckets, copy=copy)


def _from_folder(args: argparse.Namespace) -> None:
    check_new_folder(args.out)
    from cliqa.datasets.clear.from_folder import from_folder  # noqa: PLC0415

    copy: Literal["copy", "link"] = "link" if args.link else "copy"
    from_folder(args.folder, args.out, buckets=args.buckets, order=args.order, copy=copy)


RUN: dict[str, Callable[[argparse.Namespace], None]] = {
    "prepare": _prepare,
    "fewshot": _fewshot,
    "features": _features,
    "create": _create,
    "from-folder": _from_folder,
}
"""By command."""
