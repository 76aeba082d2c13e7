"""Write a small data set in Fashion-MNIST's files: ``cliqa data fashion``.

The images are scikit-learn's handwritten digits, or the tiles of a picture (``--sprite``).
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from cliqa.utils.paths import check_output_folder

COMMAND = "cliqa train cliqa::fmnist_replay.py"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Write digits, or a sprite's images, in the files of Fashion-MNIST below OUT."
    )
    parser.add_argument("--out", default="data/fashion", help="new folder (default: data/fashion)")
    parser.add_argument(
        "--sprite", help="picture of 30 x 30 images, 90 of each class (default: digits)"
    )
    parser.add_argument("--train", type=int, default=600, help="training images (default: 600)")
    parser.add_argument("--test", type=int, default=300, help="test images (default: 300)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the files and print how to train on them."""
    args = parse_args(argv)
    check_output_folder(args.out)
    from cliqa.demo_data.fashion import FashionData  # noqa: PLC0415  --help without torch

    data = FashionData(train=args.train, test=args.test, seed=args.seed, sprite=args.sprite)
    data.write(args.out)
    kind = "handwritten digits" if args.sprite is None else "from the sprite"
    print(f"{args.out}: {args.train} training and {args.test} test images, {kind}, of 10 classes.")
    print("Train with")
    print(f"  {COMMAND} --cfg-options {shlex.quote(f'scenario.dataset_root={args.out}')}")
