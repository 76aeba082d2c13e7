"""Test a model on classes it never learnt: ``cliqa zero-shot work_dirs/x --data new``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cliqa.config.trust import trusting
from cliqa.utils.arguments import add_arguments, check_at_least, check_range
from cliqa.utils.cli import command
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Test a model of images and texts on classes or on scores that it was not "
        "trained on: by their texts alone (0 shots), and with a few labelled images."
    )
    parser.add_argument("checkpoint", help="work_dir or checkpoint of an ImageTextModel")
    parser.add_argument(
        "--data",
        required=True,
        metavar="FOLDER",
        help="a folder of images for each class in it; or a data set of scores as TYPE=ROOT, or a "
        "csv or json file as FILE=IMAGE_ROOT",
    )
    parser.add_argument(
        "--texts",
        metavar="FILE",
        help="texts of the candidates: a .yaml file, or a name of the package's (default: 'a photo "
        "of a' and the folder's name; for scores the model's levels)",
    )
    parser.add_argument(
        "--shots", nargs="+", type=int, default=[0], metavar="K", help="default: 0 (texts alone)"
    )
    parser.add_argument(
        "--text-weight",
        type=float,
        default=1.0,
        help="how many labelled images a candidate's text counts as (default: 1)",
    )
    add_arguments(parser, "--seeds", "--score-range", "--lower-is-better", "--device", "--trust")
    parser.add_argument("--out", metavar="FILE.json", help="write the rows there too")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Test a model on new candidates and print a table."""
    _check(args)
    low, high = check_range("--score-range", args.score_range)
    from cliqa.datasets.labels.scale import Scale  # noqa: PLC0415  --help answers without these
    from cliqa.inference.few_shot import few_shot, few_shot_table  # noqa: PLC0415
    from cliqa.inference.predict import Predictor  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415
    from cliqa.utils.io import write_json  # noqa: PLC0415

    predictor = Predictor(args.checkpoint, resolve_device(args.device))
    rows = few_shot(
        predictor,
        args.data,
        args.texts,
        args.shots,
        args.seeds,
        args.text_weight,
        Scale(low, high, not args.lower_is_better) if args.score_range else None,
    )
    if args.out:
        write_json(args.out, {"checkpoint": str(predictor.checkpoint), "rows": rows})
    sys.stdout.write(few_shot_table(rows, predictor.checkpoint))


def _check(args: argparse.Namespace) -> None:
    """Refuse invalid numbers before anything is read."""
    check_at_least(0, "--shots", *args.shots)
    check_at_least(0, "--text-weight", args.text_weight)
    if args.text_weight == 0 and 0 in args.shots:
        raise ConfigError(
            "--text-weight 0: without a text there must be images. Leave 0 out of --shots."
        )
    read = [args.checkpoint, args.data.partition("=")[0], *([args.texts] if args.texts else [])]
    check_output_file(args.out, suffixes=(".json",), inputs=read)
