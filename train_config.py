"""Train a config: ``python train_config.py config/demo.py --device auto``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from cliqa.config.trust import trusting
from cliqa.utils.cli import CONFIG, add_arguments, command, run_entry_point
from cliqa.utils.paths import check_output_folder


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Train a config's model over its stream of data sets."
    )
    add_arguments(parser, *CONFIG, "--allow-changed-data")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="PATH",
        help="resume from the work_dir's last checkpoint, or from PATH",
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

    config = load_config(args.config, args.cfg_options)
    quick_check(config)
    if args.work_dir is None:
        check_output_folder(config.get("work_dir") or default_work_dir(args.config), "work_dir")
    work: Callable[..., object]
    if "pretrain" in config:
        from cliqa.engine.pretrain.run import pretrain as work  # noqa: PLC0415  torch takes seconds
    else:
        from cliqa.engine.train import train as work  # noqa: PLC0415  Avalanche too

    work(
        config,
        config_file=args.config,
        work_dir=args.work_dir,
        device=args.device,
        seed=args.seed,
        resume=args.resume,
        amp=args.amp,
        allow_changed_data=args.allow_changed_data,
    )
    if config.get("deploy") is not None:
        from cliqa.compress.auto import deploy_run  # noqa: PLC0415  needs optional libraries

        deploy_run(config, args.config, args.work_dir)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
