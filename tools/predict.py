"""Score or classify images: ``python tools/predict.py work_dirs/demo photo.jpg --out s.csv``."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cliqa.utils.cli import run_entry_point
from cliqa.utils.errors import ConfigError

if TYPE_CHECKING:
    from cliqa.engine.inference import Score


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description="Score images with a trained model, or classify them."
    )
    parser.add_argument("checkpoint", help="work_dir or checkpoint")
    parser.add_argument("images", nargs="+", help="image files and folders")
    parser.add_argument("--out", help="file to write: .csv or .json (default: the console)")
    parser.add_argument(
        "--scale",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="range of the scores, e.g. 0 10 (default: 0 1); higher is better",
    )
    parser.add_argument("--recursive", action="store_true", help="look into folders' folders")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--num-workers", type=int, default=0, help="processes that read images")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Score images and write a table; the status is 1 if an image could not be read."""
    args = parse_args(argv)
    low, high = args.scale or (0.0, 1.0)
    if not low < high:
        raise ConfigError(f"--scale {low:g} {high:g}: LOW must be below HIGH.")
    if args.out and Path(args.out).suffix not in (".csv", ".json"):
        raise ConfigError(f"--out {args.out}: the name must end in .csv or .json.")
    if args.batch_size < 1:
        raise ConfigError(f"--batch-size {args.batch_size}: must be at least 1.")
    from tqdm import tqdm  # noqa: PLC0415  --help answers without what follows

    from cliqa.engine.inference import Predictor, find_images  # noqa: PLC0415
    from cliqa.utils.device import resolve_device  # noqa: PLC0415
    from cliqa.utils.io import write_text  # noqa: PLC0415

    paths = find_images(args.images, args.recursive)
    predictor = Predictor(args.checkpoint, resolve_device(args.device))
    if predictor.classes and args.scale:
        raise ConfigError("--scale: this model gives classes, not scores.")
    scores = predictor.predict(paths, args.batch_size, args.num_workers)
    rows = list(tqdm(scores, total=len(paths), desc="score", leave=False, disable=None))
    as_json = bool(args.out) and Path(args.out).suffix == ".json"
    of_classes = bool(predictor.classes)
    text = (to_json if as_json else to_csv)(rows, low, high, of_classes)
    if args.out:
        write_text(args.out, text)
    else:
        sys.stdout.write(text)
    bad = [row for row in rows if row.error]
    for row in bad:
        sys.stderr.write(f"not scored: {row.error}\n")
    return 1 if bad else 0


def to_csv(rows: Sequence[Score], low: float, high: float, of_classes: bool = False) -> str:
    """Return ``image,score`` or ``image,class,probability`` lines.

    An image that could not be read has empty fields.
    """
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["image", "class", "probability"] if of_classes else ["image", "score"])
    for row in rows:
        score = "" if row.score is None else f"{low + (high - low) * row.score:.6f}"
        table.writerow([row.image, row.label or "", score] if of_classes else [row.image, score])
    return out.getvalue()


def to_json(rows: Sequence[Score], low: float, high: float, of_classes: bool = False) -> str:
    """Return a list of ``{"image", "score"}`` or ``{"image", "class", "probability"}``.

    An image that could not be read has an ``"error"`` too.
    """
    listed = []
    for row in rows:
        score = None if row.score is None else low + (high - low) * row.score
        said = {"class": row.label, "probability": score} if of_classes else {"score": score}
        error = {"error": row.error} if row.error else {}
        listed.append({"image": str(row.image), **said, **error})
    return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
