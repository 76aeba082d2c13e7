"""Find images by texts: ``cliqa retrieve work_dirs/x --query "a bag" --images a/``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cliqa.config.trust import trusting
from cliqa.utils.arguments import add_arguments, check_at_least
from cliqa.utils.cli import command
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Find the images that fit a text (--query), or measure how well a model of "
        "images and texts finds images by texts and texts by images (--data): recall@k."
    )
    parser.add_argument("checkpoint", help="work_dir or checkpoint of an ImageTextModel")
    parser.add_argument("--query", metavar="TEXT", help="list the images that fit this text best")
    parser.add_argument("--images", nargs="+", metavar="PATH", help="files, folders or patterns")
    parser.add_argument("--top", type=int, default=5, help="how many to list (default: 5)")
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="measure on FILE=IMAGE_ROOT, a csv with the columns image and text, or on a folder of "
        "images for each class in it",
    )
    parser.add_argument(
        "--texts", metavar="FILE", help="texts of the classes: a .yaml file, or a package's name"
    )
    parser.add_argument(
        "--k", nargs="+", type=int, default=[1, 5, 10], help="answers that count (default: 1 5 10)"
    )
    add_arguments(parser, "--device", "--trust")
    parser.add_argument("--out", metavar="FILE.json", help="write the rows there too")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Search, or measure, and print the result."""
    _check(args)
    from cliqa.datasets.image_listing import find_images  # noqa: PLC0415  --help is fast
    from cliqa.inference.predict import Predictor  # noqa: PLC0415
    from cliqa.inference.retrieval import (  # noqa: PLC0415
        read_pairs,
        retrieval,
        retrieval_table,
        search,
    )
    from cliqa.inference.unseen_data import image_text_model  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415
    from cliqa.utils.io import write_json  # noqa: PLC0415

    predictor = Predictor(args.checkpoint, resolve_device(args.device))
    if args.query is not None:
        paths = find_images(args.images, recursive=True)
        found = search(predictor, args.query, paths, args.top)
        rows = [{"image": str(path), "similarity": value} for path, value in found]
        text = "".join(f"{value:8.4f}  {path}\n" for path, value in found)
    else:
        pairs = read_pairs(args.data, image_text_model(predictor), args.texts)
        rows = retrieval(predictor, pairs, args.k)
        text = retrieval_table(rows, predictor.checkpoint)
    if args.out:
        write_json(args.out, {"checkpoint": str(predictor.checkpoint), "rows": rows})
    sys.stdout.write(text)


def _check(args: argparse.Namespace) -> None:
    """Refuse what makes no task, before anything is read."""
    if (args.query is None) == (args.data is None):
        raise ConfigError("give either --query TEXT with --images PATH, or --data DATA.")
    if args.query is not None and not args.images:
        raise ConfigError("--query: which images? Give --images PATH.")
    check_at_least(1, "--k", *args.k)
    check_at_least(1, "--top", args.top)
    check_output_file(args.out, suffixes=(".json",), inputs=[args.checkpoint])
