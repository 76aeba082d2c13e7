"""Score or classify images: ``python tools/predict.py work_dirs/demo photo.jpg --out s.csv``."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.config.trust import trusting
from cliqa.utils.cli import (
    PROTOCOL,
    add_arguments,
    check_at_least,
    check_range,
    command,
    print_error,
    run_entry_point,
    seed,
)
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import check_output_file, check_output_is_open, named_checkpoint

if TYPE_CHECKING:
    from cliqa.inference.predict import Predictor, Score


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Score images with a trained model, or classify them."
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="MODEL IMAGES",
        help="work_dir, checkpoint, or exported model (.onnx); then image files, folders, and "
        "quoted patterns: 'set/**/*.jpg'",
    )
    parser.add_argument("--model", help="the model, in place of the first path")
    parser.add_argument("--out", help="file to write: .csv or .json (default: the console)")
    parser.add_argument(
        "--scale",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="range of the scores, e.g. 0 10; higher is better (default: the scale and direction "
        "of the run's data set if it has only one, else 0 1)",
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="give scores on the scale of this data set of the config"
    )
    add_arguments(parser, "--checkpoint", *PROTOCOL)
    parser.add_argument("--seed", type=seed, default=0, help="seed of random crops (default: 0)")
    parser.add_argument("--recursive", action="store_true", help="look into folders' folders")
    parser.add_argument("--batch-size", type=int, help="images a batch (default: 32 or crops)")
    add_arguments(parser, "--num-workers", "--device", "--trust")
    args = parser.parse_args(argv)
    if args.model is None:
        args.model, *args.paths = args.paths
    if not args.paths:
        parser.error("give images after the model: files, folders or quoted patterns")
    return args


@command(parse_args, trusting)
def main(args: argparse.Namespace) -> int:
    """Score images and write a table; the status is 1 if an image could not be scored.

    If the work is interrupted, the scores so far are written.
    """
    args.model = named_checkpoint(args.model, args.named)
    _check(args)
    from cliqa.engine.interrupts import stop_on_signals  # noqa: PLC0415  --help is fast
    from cliqa.inference.predict import Predictor, find_images  # noqa: PLC0415
    from cliqa.transforms.protocol import parse_protocol  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415
    from cliqa.utils.progress import track  # noqa: PLC0415

    protocol = parse_protocol(args.crops, args.crop_size, args.resize, args.seed)
    paths = find_images(args.paths, args.recursive)
    predictor = Predictor(args.model, resolve_device(args.device), protocol)
    to_scale = scaling(args, predictor)
    scores = predictor.predict(paths, args.batch_size, args.num_workers)
    rows: list[Score] = []
    with stop_on_signals("what is scored is written"):
        try:
            for row in track(scores, "score", len(paths), "image"):
                rows.append(row if row.score is None else replace(row, score=to_scale(row.score)))
        finally:
            _write(args, rows, len(paths), bool(predictor.classes))
    bad = [row for row in rows if row.error]
    for row in bad:
        sys.stderr.write(f"not scored: {row.error}\n")
    return 1 if bad else 0


def _check(args: argparse.Namespace) -> None:
    """Refuse invalid options before anything is read."""
    first = Path(args.paths[0])
    if first.suffix in (".pth", ".onnx") or (first / "checkpoints" / "last.pth").is_file():
        raise ConfigError(
            f"{args.model} and {first}: two models. Give one, in the first place or as --model."
        )
    check_range("--scale", args.scale)
    if args.scale and args.dataset:
        raise ConfigError("--scale and --dataset: both give the scale. Choose one.")
    check_at_least(1, "--batch-size", args.batch_size)
    check_output_file(args.out, suffixes=(".csv", ".json"), inputs=[args.model, *args.paths])
    if not args.out:
        check_output_is_open("Give a file with --out.")


def _write(args: argparse.Namespace, rows: Sequence[Score], total: int, of_classes: bool) -> None:
    """Write the scores, and report how many images have one if not all do."""
    from cliqa.utils.io import write_text  # noqa: PLC0415  needs numpy

    if not rows:
        return
    as_json = bool(args.out) and Path(args.out).suffix == ".json"
    text = (to_json if as_json else to_csv)(rows, of_classes)
    if args.out:
        write_text(args.out, text)
    else:
        sys.stdout.write(text)
    if len(rows) < total:
        print_error(f"{len(rows)} of {total} images are in {args.out or 'the table'}")


def scaling(args: argparse.Namespace, predictor: Predictor) -> Callable[[float], float]:
    """Return a function that converts a score of 0..1 to the requested scale.

    Raises:
        ConfigError: The model gives classes, or its config has no such data set.
    """
    from cliqa.inference.evaluation_request import (  # noqa: PLC0415
        on_scale,
        only_scale,
        scale_of,
    )

    if predictor.classes and (args.scale or args.dataset):
        option = "--scale" if args.scale else "--dataset"
        raise ConfigError(f"{option}: this model gives classes, not scores.")
    scenario = predictor.image_model.scenario
    scale = scale_of(scenario, args.dataset) if args.dataset else None
    if not (args.dataset or args.scale or predictor.classes):
        scale = only_scale(scenario)
    if scale is not None:
        return partial(on_scale, scale=scale)
    low, high = args.scale or (0.0, 1.0)
    return lambda score: low + (high - low) * score


def to_csv(rows: Sequence[Score], of_classes: bool = False) -> str:
    """Return ``image,score`` or ``image,class,probability`` lines.

    An image that could not be scored has empty fields.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    # a bare carriage return, which a name may hold, is not quoted by default
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    table.writerow(["image", "class", "probability"] if of_classes else ["image", "score"])
    for row in rows:
        score = "" if row.score is None else f"{row.score:.6f}"
        cells = [str(row.image), row.label or "", score] if of_classes else [str(row.image), score]
        (quoted if "\r" in "".join(cells) else table).writerow(cells)
    return out.getvalue()


def to_json(rows: Sequence[Score], of_classes: bool = False) -> str:
    """Return a list of ``{"image", "score"}`` or ``{"image", "class", "probability"}``.

    An image that could not be scored has an ``"error"`` too.
    """
    from cliqa.utils.io import to_json as as_json  # noqa: PLC0415  needs numpy

    listed = []
    for row in rows:
        value = row.score
        output = {"class": row.label, "probability": value} if of_classes else {"score": value}
        error = {"error": row.error} if row.error else {}
        listed.append({"image": str(row.image), **output, **error})
    return as_json(listed, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
