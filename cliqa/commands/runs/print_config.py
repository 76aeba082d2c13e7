"""Print a config with its bases and options resolved: ``cliqa print-config CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from cliqa.utils.arguments import add_arguments
from cliqa.utils.logging import get_logger


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Print the resolved config as Python; the output is a config again."
    )
    add_arguments(parser, "config", "--cfg-options")
    parser.add_argument(
        "--check",
        action="store_true",
        help="check all names and arguments, and build everything without data, too",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print one resolved config."""
    args = parse_args(argv)
    from cliqa.config.components import quick_check  # noqa: PLC0415
    from cliqa.config.load import load_config  # noqa: PLC0415  --help answers without it
    from cliqa.config.values import format_config  # noqa: PLC0415

    config = load_config(args.config, args.cfg_options)
    if args.check:
        quick_check(config)
        from cliqa.engine.trial.build import check_by_building  # noqa: PLC0415  imports torch

        config, built = check_by_building(config)
        get_logger(__name__).info("%s", built)
    print(format_config(config), end="")
