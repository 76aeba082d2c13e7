"""Remove data sets from StreamingRidge runs, or merge them: ``cliqa ridge``.

``remove`` makes the model that has never seen a data set; ``merge`` makes the one that one machine
would have learnt from the data of several. No image is read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from cliqa.config.trust import trusting
from cliqa.utils.arguments import add_arguments
from cliqa.utils.cli import command
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Change the sums of StreamingRidge runs.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    show = commands.add_parser("show", help="print the data sets in a run's sums")
    show.add_argument("run", help="work_dir or checkpoint")
    remove = commands.add_parser(
        "remove",
        help="remove data sets, as if they had never been seen",
        description="Remove data sets from a run that was trained with keep_sets=True, and write "
        "the checkpoint of the rest.",
    )
    remove.add_argument("run", help="work_dir or checkpoint")
    remove.add_argument("--set", nargs="+", required=True, metavar="NAME", help="what to remove")
    merge = commands.add_parser(
        "merge",
        help="merge runs of several machines into one",
        description="Add the sums of runs over different data with the same network, and write "
        "the checkpoint of one run over all of them.",
    )
    merge.add_argument("runs", nargs="+", help="work_dirs or checkpoints, two or more")
    merge.add_argument(
        "--add-same",
        action="store_true",
        help="a data set of the same name holds other samples on every machine: add them up",
    )
    for one in (show, remove, merge):
        if one is not show:
            one.add_argument("--out", type=Path, required=True, help="checkpoint to write: x.pth")
        add_arguments(one, "--trust")
    return parser.parse_args(argv)


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> None:
    """Read the runs, change the sums, and write a checkpoint."""
    paths = args.runs if args.command == "merge" else [args.run]
    if args.command == "merge" and len(paths) < 2:
        raise ConfigError("merge: one run alone. Give two work_dirs or checkpoints, or more.")
    if args.command != "show":
        check_output_file(args.out, suffixes=(".pth",), inputs=paths)
    from cliqa.engine.growth.ridge_runs import RidgeRun  # noqa: PLC0415  --help answers without it
    from cliqa.utils.checkpoint import save_checkpoint  # noqa: PLC0415
    from cliqa.utils.memory import tensor_bytes  # noqa: PLC0415

    run = RidgeRun(paths[0])
    for name in args.set if args.command == "remove" else ():
        run.remove(name)
    for path in paths[1:]:
        run.merge(RidgeRun(path), args.add_same)
    for name, sums in run.sums.sets.items():
        print(f"{name}: {int(sums.count)} samples")
    size = tensor_bytes([run.sums.state_dict(), run.held.state_dict()])
    kept = "each set can be removed" if run.sums.keep_sets else "no set can be removed"
    print(f"sums over {len(sums.z)} features: {size:,} bytes; {kept}")
    if args.command != "show":
        save_checkpoint(args.out, run.content())
        print(f"written: {args.out}")
