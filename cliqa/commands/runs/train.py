"""Train a config: ``cliqa train config/demo.py --device auto``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from cliqa.api.launch import launch
from cliqa.config.trust import trusting
from cliqa.utils.arguments import CONFIG, add_arguments
from cliqa.utils.cli import command
from cliqa.utils.paths import check_output_folder


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Train a config's model over its stream of data sets. In several processes: "
        "torchrun --nproc-per-node N -m cliqa train CONFIG"
    )
    add_arguments(parser, *CONFIG, "--data", "--allow-changed-data")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="PATH",
        help="resume from the work_dir's last checkpoint, or from PATH",
    )
    parser.add_argument(
        "--extend",
        action="store_true",
        help="continue the work_dir's run under a config with more: data sets at its end, or a "
        "larger train_epochs",
    )
    parser.add_argument(
        "--start-from",
        metavar="RUN",
        help="begin in a new work_dir with all that another run has learnt, and go on as --extend",
    )
    parser.add_argument(
        "--stop-after",
        type=int,
        metavar="K",
        help="stop after K experiences; --resume goes on",
    )
    parser.add_argument("--amp", action="store_true", help="train in mixed precision")
    parser.add_argument(
        "--auto-scale-lr",
        dest="cfg_options",
        action="append_const",
        const="auto_scale_lr.enable=True",
        help="scale learning rates by the batch size, from the config's auto_scale_lr",
    )
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Train a config's model over its stream, or pretrain it."""
    check_output_folder(args.work_dir, "--work-dir")
    from cliqa.config.components import quick_check  # noqa: PLC0415
    from cliqa.config.load import default_work_dir, load_config  # noqa: PLC0415  --help is fast
    from cliqa.datasets.own.options import load_with_data  # noqa: PLC0415

    config = load_with_data(args.data, partial(load_config, args.config), args.cfg_options)
    quick_check(config)
    if args.work_dir is None:
        check_output_folder(config.get("work_dir") or default_work_dir(args.config), "work_dir")
    launch(
        config,
        args.config,
        args.work_dir,
        tell_data=bool(args.data),
        device=args.device,
        seed=args.seed,
        resume=args.resume,
        extend=args.extend,
        start_from=args.start_from,
        stop_after=args.stop_after,
        amp=args.amp,
        allow_changed_data=args.allow_changed_data,
    )
