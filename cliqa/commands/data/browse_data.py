"""Show what the model sees: ``cliqa data browse CONFIG --out FOLDER``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cliqa.utils.arguments import add_arguments, check_at_least
from cliqa.utils.paths import check_output_folder


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Draw samples of every split of a config's data after the transforms, without "
        "the normalisation, with their scores or classes; of a pretraining its pairs."
    )
    add_arguments(parser, "config", "--cfg-options")
    parser.add_argument("--images", type=int, default=12, help="of each split (default: 12)")
    parser.add_argument(
        "--datasets", nargs="+", default=[], metavar="NAME", help="default: all of the config's"
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        default=["train", "val", "test"],
        choices=("train", "val", "test"),
        help="default: train val test",
    )
    parser.add_argument(
        "--out", type=Path, help="folder of the figures (default: browse/<config name>)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw one config's data."""
    args = parse_args(argv)
    check_at_least(1, "--images", args.images)
    folder = args.out or Path("browse") / Path(args.config).stem
    check_output_folder(folder, "--out")
    from cliqa.config.components import quick_check  # noqa: PLC0415  --help answers without these
    from cliqa.config.load import load_config  # noqa: PLC0415

    config = load_config(args.config, args.cfg_options)
    quick_check(config)
    from cliqa.explain.inputs import browse, draw_inputs  # noqa: PLC0415  imports torch
    from cliqa.visualization.style import save_figure  # noqa: PLC0415

    data_sets = [] if args.datasets == ["all"] else args.datasets
    for inputs in browse(config, args.images, data_sets, args.splits):
        target = folder / f"{inputs.name}_{inputs.split}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        save_figure(draw_inputs(inputs), target)
        print(f"{target}: {len(inputs.images)} of {inputs.count}")
