"""Score or classify images: ``cliqa predict work_dirs/demo photo.jpg --out s.csv``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from cliqa.config.trust import trusting
from cliqa.hub.source import on_this_machine
from cliqa.inference.score_files.record import check_nothing_left
from cliqa.utils.arguments import (
    EXECUTION,
    PROTOCOL,
    SCALE,
    add_arguments,
    check_at_least,
    check_scale,
    seed,
)
from cliqa.utils.cli import command, print_error
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file, check_output_is_open, named_checkpoint

if TYPE_CHECKING:
    from cliqa.inference.fast_predictor import FastPredictor
    from cliqa.inference.predict import Predictor


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Score images with a trained model, or classify them."
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="MODEL IMAGES",
        help="work_dir, checkpoint, exported model (.onnx), or a model on the Hub "
        "(hf://owner/name); then image files, folders, and quoted patterns: 'set/**/*.jpg'",
    )
    parser.add_argument("--model", help="the model, in place of the first path")
    parser.add_argument("--out", help="file to write: .csv or .json (default: the console)")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with the table in --out that a kill or an interrupt has left",
    )
    add_arguments(parser, *SCALE, "--checkpoint", *PROTOCOL)
    parser.add_argument("--seed", type=seed, default=0, help="seed of random crops (default: 0)")
    parser.add_argument("--recursive", action="store_true", help="look into folders' folders")
    parser.add_argument("--batch-size", type=int, help="images a batch (default: 32 or crops)")
    add_arguments(parser, "--num-workers", "--device", *EXECUTION, "--trust")
    parser.set_defaults(num_workers=None)  # threads, which start at once
    args = parser.parse_args(argv)
    if args.model is None:
        args.model, *args.paths = args.paths
    if not args.paths:
        parser.error("give images after the model: files, folders or quoted patterns")
    return args


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> int:
    """Score images and write a table; the status is 1 if an image could not be scored.

    Rows are written as they come. If the work is interrupted, the scores so far are in the table;
    if it is killed, they are in ``NAME.part`` beside it. In both cases ``--resume`` goes on.
    """
    args.model = named_checkpoint(on_this_machine(args.model), args.named)
    _check(args)
    from cliqa.datasets.image_listing import find_images  # noqa: PLC0415  --help is fast
    from cliqa.engine.interrupts import stop_on_signals  # noqa: PLC0415
    from cliqa.inference.fast_predictor import scaling  # noqa: PLC0415
    from cliqa.inference.score_files.unfinished import WholeRows, images_left  # noqa: PLC0415
    from cliqa.inference.scores import ScoreTable  # noqa: PLC0415
    from cliqa.utils.progress import track  # noqa: PLC0415

    paths = find_images(args.paths, args.recursive)
    predictor = _open(args, len(paths))
    to_scale, _ = scaling(predictor, args.scale, args.dataset)
    record = record_for(args, predictor, to_scale) if args.out else None
    table = ScoreTable(args.out, bool(predictor.classes), record)
    rows = table.resume() if args.resume else WholeRows()
    batch = predictor.batch_of(args.batch_size)
    left, begun = images_left(paths, rows.images, batch, args.out)
    scores = predictor.predict(left, args.batch_size, args.num_workers)
    bad: list[str] = []
    if rows.images:
        sys.stderr.write(f"{len(rows.images)} of {len(paths)} images are in {args.out} already\n")
        bad += [f"{rows.without_score} images of the earlier rows"] if rows.without_score else []
    if args.out or not sys.stdout.isatty():  # rows on a terminal show the progress themselves
        scores = track(scores, "score", len(left), "image", rate=True)
    scores = islice(scores, begun, None)
    with stop_on_signals("what is scored is written"):
        try:
            for row in scores:
                table.add([row if row.score is None else replace(row, score=to_scale(row.score))])
                bad += [row.error] if row.error else []
        finally:
            table.finish(whole=table.count == len(paths))
            if 0 < table.count < len(paths):
                where = args.out or "the table"
                print_error(f"{table.count} of {len(paths)} images are in {where}")
    for error in bad:
        sys.stderr.write(f"not scored: {error}\n")
    if args.out:
        sys.stderr.write(f"written: {args.out} ({table.count} of {len(paths)} images)\n")
    return 1 if bad else 0


def _open(args: argparse.Namespace, images: int) -> Predictor | FastPredictor:
    """Return the model; an ONNX file without what training needs, in a fraction of the time."""
    from cliqa.inference.execution.precision import Execution  # noqa: PLC0415  --help is fast
    from cliqa.inference.fast_predictor import open_predictor  # noqa: PLC0415

    execution = Execution(args.precision or "float32", args.compile)
    changes = args.crops, args.crop_size, args.resize, args.seed
    return open_predictor(args.model, images, args.device, execution, *changes)


def record_for(
    args: argparse.Namespace,
    predictor: Predictor | FastPredictor,
    to_scale: Callable[[float], float],
) -> dict[str, object]:
    """Return what the rows of a table depend on, besides the images."""
    from cliqa.utils.io import sha256_of  # noqa: PLC0415  --help is fast

    return {
        "model": sha256_of(predictor.checkpoint),
        "crops": args.crops,
        "crop size": args.crop_size,
        "resize": args.resize,
        "seed": args.seed,
        "scale": [to_scale(0.0), to_scale(1.0)],
        "precision": args.precision or "float32",
        "compile": args.compile,
        "batch size": predictor.batch_of(args.batch_size),
    }


def _check(args: argparse.Namespace) -> None:
    """Refuse invalid options before anything is read."""
    first = Path(args.paths[0])
    if first.suffix in (".pth", ".onnx") or (first / "checkpoints" / "last.pth").is_file():
        raise ConfigError(
            f"{args.model} and {first}: two models. Give one, in the first place or as --model."
        )
    check_scale(args.scale, args.dataset)
    check_at_least(1, "--batch-size", args.batch_size)
    if args.resume and not args.out:
        raise ConfigError("--resume: needs a table in a file. Add --out FILE.")
    if not args.resume:
        check_nothing_left(args.out)
    check_output_file(args.out, suffixes=(".csv", ".json"), inputs=[args.model, *args.paths])
    if not args.out:
        check_output_is_open("Give a file with --out.")
