"""Write small data sets in official layouts: ``cliqa data demo --out data/mine``.

Scenes are painted, or photographs of a folder degraded (``--photos``).
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence

from cliqa.utils.paths import check_output_folder

COMMAND, CONFIG = "cliqa train", "cliqa::demo.py"


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Write generated data sets in the layouts of EVA, AVA and KonIQ-10k."
    )
    parser.add_argument("--out", default="data/demo", help="new folder (default: data/demo)")
    parser.add_argument("--photos", help="folder of photographs to degrade (default: paint scenes)")
    parser.add_argument("--train", type=int, default=500, help="images per data set (default: 500)")
    parser.add_argument("--val", type=int, default=50, help="default: 50")
    parser.add_argument("--test", type=int, default=200, help="default: 200")
    parser.add_argument("--size", type=int, default=100, help="side in pixels (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument(
        "--overlap", type=int, default=0, help="images of EVA that are AVA's too (default: 0)"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the data sets and print how to train on them."""
    args = parse_args(argv)
    check_output_folder(args.out)
    from cliqa.demo_data.demo_data import DemoData  # noqa: PLC0415  --help without torch

    data = DemoData(
        train=args.train,
        val=args.val,
        test=args.test,
        size=args.size,
        seed=args.seed,
        photos=args.photos,
        overlap=args.overlap,
    )
    data.write(args.out)
    print(f"{args.out}: eva, ava and koniq with {args.train} training, {args.val} validation and")
    print(f"{args.test} test images each; their distortions are in degradations.csv. Train with")
    print(
        " \\\n      ".join(
            [f"  {COMMAND} {CONFIG} --cfg-options", *map(shlex.quote, options(args))]
        )
    )


def options(args: argparse.Namespace) -> list[str]:
    """Return the options that make the demo's config read what was written."""
    found = ["scenario.generate=None", f"scenario.dataset_root={args.out}"]
    counts = args.train, args.val, args.test
    if counts != (500, 50, 200):  # the loaders' seeded splits must be the writer's
        shares = ",".join(f"{count / sum(counts):.9f}" for count in counts)
        found.append(f"scenario.datasets.0.fractions=({shares})")
        found.append(f"scenario.datasets.1.val_fraction={args.val / (args.train + args.val):.9f}")
    if args.size != 100:  # a crop must fit
        found.append(f"scenario.train_transform.0.size={round(0.88 * args.size)}")
        found.append(f"scenario.eval_transform.0.size={round(0.96 * args.size)}")
    return found
