"""Draw the learning rate of a config: ``cliqa vis-schedule CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cliqa.utils.arguments import add_arguments, check_at_least
from cliqa.utils.paths import check_output_file


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Draw the learning rate over the steps of the optimizer and the experiences."
    )
    add_arguments(parser, "config", "--cfg-options")
    parser.add_argument(
        "--samples",
        nargs="+",
        type=int,
        metavar="N",
        help="training samples of each experience, to draw without the data",
    )
    parser.add_argument(
        "--out", type=Path, help="figure to write: .png, .pdf or .svg (default: NAME_schedule.png)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw one config's learning rates."""
    args = parse_args(argv)
    check_at_least(1, "--samples", *(args.samples or ()))
    out = args.out or Path(f"{Path(args.config).stem}_schedule.png")
    check_output_file(out, suffixes=(".png", ".pdf", ".svg"), inputs=[args.config])
    from cliqa.config.components import quick_check  # noqa: PLC0415  --help answers without these
    from cliqa.config.load import load_config  # noqa: PLC0415

    config = load_config(args.config, args.cfg_options)
    quick_check(config)
    from cliqa.explain.rates import draw_rates, learning_rates  # noqa: PLC0415  imports torch
    from cliqa.visualization.style import save_figure  # noqa: PLC0415

    rates = learning_rates(config, args.samples)
    save_figure(draw_rates(rates), out)
    last = rates.values[-1].max()
    print(
        f"{out}: {len(rates.values):,} steps in {len(rates.starts)} experience(s), "
        f"learning rate {rates.values.max():.3g} at most and {last:.3g} at the end"
    )
