"""Convert mmpretrain's configs: ``cliqa from-mmpretrain CONFIG --out config/mine.py``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from shlex import quote


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Write an image classifier's config of mmpretrain as a config of cliqa, and "
        "list what could not be carried over."
    )
    parser.add_argument(
        "config", help="a file, or one that mmpretrain brings: mmpretrain::resnet/NAME.py"
    )
    parser.add_argument("--out", required=True, help="the new config, e.g. mine.py")
    parser.add_argument(
        "--experiences",
        type=int,
        default=10,
        metavar="N",
        help="groups of classes to learn one after the other (default: 10); 1: all at once",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert one config, and check the result."""
    args = parse_args(argv)
    from cliqa.engine.trial.conversion import convert_checked  # noqa: PLC0415  imports torch

    conversion = convert_checked(args.config, args.out, args.experiences)
    print(f"{args.out}: {args.config} as a config of cliqa; {conversion.built}")
    for reason in conversion.lost:
        print(f"  left out or changed: {reason}")
    print(f"next: cliqa train {quote(str(args.out))}")
