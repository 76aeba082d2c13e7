"""Choose images to label: ``select_images.py work_dirs/demo new/ --count 100 --out x.csv``."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Sequence

from cliqa.config.trust import trusting
from cliqa.utils.arguments import add_arguments, check_at_least, seed
from cliqa.utils.cli import command
from cliqa.utils.paths import check_output_file


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Choose the images of a new data set that are worth a label, with a model that "
        "has learnt earlier ones. No label is read."
    )
    parser.add_argument("checkpoint", help="work_dir or checkpoint of the model")
    parser.add_argument("images", nargs="+", metavar="IMAGES", help="files, folders or patterns")
    parser.add_argument("--count", type=int, default=100, help="how many (default: 100)")
    parser.add_argument(
        "--by",
        choices=("coverage", "uncertainty", "random"),
        default="coverage",
        help="cover all images in the model's features, those that it is unsure of, or a draw "
        "(default: coverage)",
    )
    parser.add_argument(
        "--labelled", nargs="+", metavar="PATH", default=[], help="images that have labels already"
    )
    parser.add_argument("--seed", type=seed, default=0, help="seed of the draw (default: 0)")
    parser.add_argument("--out", metavar="FILE.csv", help="write them there (default: the console)")
    add_arguments(parser, "--device", "--trust")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Choose, and write a table with the column ``image``."""
    check_at_least(1, "--count", args.count)
    check_output_file(args.out, suffixes=(".csv",), inputs=[args.checkpoint])
    from cliqa.datasets.image_listing import find_images  # noqa: PLC0415  --help is fast
    from cliqa.inference.labelling.image_choice import images_to_label  # noqa: PLC0415
    from cliqa.inference.predict import Predictor  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415
    from cliqa.utils.io import atomic_open  # noqa: PLC0415

    paths = find_images(args.images, recursive=True)
    labelled = find_images(args.labelled, recursive=True) if args.labelled else []
    predictor = Predictor(args.checkpoint, resolve_device(args.device))
    chosen = images_to_label(predictor, paths, args.count, args.by, labelled, args.seed)
    text = _to_csv([str(path) for path in chosen])
    if args.out:
        with atomic_open(args.out, "w") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


def _to_csv(names: Sequence[str]) -> str:
    """Return a table with one column."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["image"], *([name] for name in names)])
    return out.getvalue()
