"""Make and prepare CLEAR data sets: ``python tools/clear_dataset.py COMMAND --help``.

The functions can be imported: ``from tools.clear_dataset import get_fewshot_indices``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.config.option_values import parse_value
from cliqa.utils.cli import add_arguments, run_entry_point
from cliqa.utils.paths import check_new_folder

# what needs torch is imported in the functions: --help answers at once


def get_pretrained_features(
    root: str | Path,
    name: str,
    checkpoint: str | Path | None = None,
    arch: str | dict[str, Any] = "resnet50",
    *,
    device: str = "auto",
    batch_size: int = 64,
    num_workers: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write the features that a pretrained network makes of every image.

    Args:
        root: The data set's folder.
        name: What the features are called: the config's ``scenario.feature_type``.
        checkpoint: The network's weights; None for those that `arch` comes with.
        arch: The network: a name, or a dict with its type.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        batch_size: Images at a time.
        num_workers: Processes that read images.
        overwrite: Replace features of that name.

    Returns:
        The folder of the features.
    """
    from cliqa.inference import features  # noqa: PLC0415

    return features.get_pretrained_features(
        root,
        name,
        checkpoint,
        arch,
        device=device,
        batch_size=batch_size,
        num_workers=num_workers,
        overwrite=overwrite,
    )


def get_fewshot_indices(root: str | Path, shot: int = 5, seed: int = 0) -> list[str]:
    """Write few-shot training lists; see `cliqa.datasets.clear.fewshot.get_fewshot_indices`."""
    from cliqa.datasets.clear import fewshot  # noqa: PLC0415

    return fewshot.get_fewshot_indices(root, shot, seed)


def create_dataset(
    root: str | Path,
    out: str | Path,
    process: Callable[..., Any] = partial(sorted, key=lambda record: record["date_taken"]),  # noqa: B008
    *,
    buckets: int | None = None,
    copy: Literal["copy", "link"] = "copy",
) -> None:
    """Cut a data set into buckets anew; see `cliqa.datasets.clear.create.create_dataset`."""
    from cliqa.datasets.clear import create  # noqa: PLC0415

    create.create_dataset(root, out, process, buckets=buckets, copy=copy)


def prepare(
    root: str | Path,
    *,
    test_ratio: float = 0.3,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    overwrite: bool = False,
) -> None:
    """Write ``training_folder``; see `cliqa.datasets.clear.prepare.prepare`."""
    from cliqa.datasets.clear import prepare as module  # noqa: PLC0415

    module.prepare(root, test_ratio=test_ratio, seeds=seeds, overwrite=overwrite)


def from_folder(
    folder: str | Path,
    out: str | Path,
    *,
    buckets: int = 10,
    order: Literal["date", "name"] = "date",
    copy: Literal["copy", "link"] = "copy",
) -> None:
    """Write CLEAR's layout; see `cliqa.datasets.clear.from_folder.from_folder`."""
    from cliqa.datasets.clear import from_folder as module  # noqa: PLC0415

    module.from_folder(folder, out, buckets=buckets, order=order, copy=copy)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Make and prepare CLEAR data sets.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    command = add("prepare", "write training_folder: lists of images, and splits")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("--overwrite", action="store_true", help="replace lists that differ")

    command = add("fewshot", "draw few-shot training images from the training split")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("--shot", type=int, default=5, help="images a class and bucket (5)")
    command.add_argument("--seed", type=int, default=0, help="of the split and the draw (0)")

    command = add("features", "write the features that a pretrained network makes of the images")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("--name", required=True, help="what the features are called")
    command.add_argument("--checkpoint", help="file of the network's weights")
    command.add_argument("--arch", default="resnet50", help="name, or dict(type=...) (resnet50)")
    command.add_argument("--batch-size", type=int, default=64, help="default: 64")
    add_arguments(command, "--device", "--num-workers")
    command.add_argument("--overwrite", action="store_true", help="replace features of that name")

    command = add("create", "cut a data set into buckets anew")
    command.add_argument("root", help="the data set's folder")
    command.add_argument("out", help="a new folder")
    command.add_argument("--sort-by", default="date_taken", metavar="KEY", help="key of metadata")
    command.add_argument("--buckets", type=int, help="default: as many as there are")
    command.add_argument("--link", action="store_true", help="link the images, do not copy them")

    command = add("from-folder", "make CLEAR's layout from FOLDER/[BUCKET/]CLASS/images")
    command.add_argument("folder", help="a folder of folders of images")
    command.add_argument("out", help="a new folder")
    command.add_argument("--buckets", type=int, default=10, help="default: 10")
    command.add_argument("--order", choices=("date", "name"), default="date", help="(date)")
    command.add_argument("--link", action="store_true", help="link the images, do not copy them")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and say what it wrote."""
    args = parse_args(argv)
    RUN[args.command](args)


def _prepare(args: argparse.Namespace) -> None:
    prepare(args.root, overwrite=args.overwrite)


def _fewshot(args: argparse.Namespace) -> None:
    get_fewshot_indices(args.root, args.shot, args.seed)
    print(f"{args.root}: the {args.shot}-shot lists of seed {args.seed} are written. Train with")
    print(f"scenario.evaluation_protocol=iid scenario.seed={args.seed} scenario.shot={args.shot}")


def _features(args: argparse.Namespace) -> None:
    get_pretrained_features(
        args.root,
        args.name,
        args.checkpoint,
        parse_value(args.arch, "", "--arch"),
        device=args.device,
        batch_size=args.batch_size,
        num_workers=args.num_workers,
        overwrite=args.overwrite,
    )


def _create(args: argparse.Namespace) -> None:
    check_new_folder(args.out)
    process = partial(sorted, key=lambda record: record[args.sort_by])
    copy: Literal["copy", "link"] = "link" if args.link else "copy"
    create_dataset(args.root, args.out, process, buckets=args.buckets, copy=copy)


def _from_folder(args: argparse.Namespace) -> None:
    check_new_folder(args.out)
    copy: Literal["copy", "link"] = "link" if args.link else "copy"
    from_folder(args.folder, args.out, buckets=args.buckets, order=args.order, copy=copy)


RUN: dict[str, Callable[[argparse.Namespace], None]] = {
    "prepare": _prepare,
    "fewshot": _fewshot,
    "features": _features,
    "create": _create,
    "from-folder": _from_folder,
}
"""What runs each command."""

if __name__ == "__main__":
    sys.exit(run_entry_point(main))
