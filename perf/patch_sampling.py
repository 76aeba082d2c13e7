"""What reading an image once for all its patches saves: ``python perf/patch_sampling.py``.

An epoch of patches is loaded, without any model, (a) by ``scenario.patches_per_image`` and (b) by
reading, decoding and resizing the image anew for every patch, as a data set with one entry a patch
does. The images are painted JPEG files. The arms take turns; what is compared is wall time, pair by
pair.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.training.loop.loaders.image_loader import make_loader
from cliqa.training.loop.loaders.patch_order import PatchOrder
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.cli import run_entry_point
from perf.pictures import paint
from perf.rounds import ROUNDS, pairs, print_row, spread, take_turns

TRANSFORM: list[dict[str, Any]] = [
    {"type": "Resize", "size": 384},
    {"type": "RandomCrop", "size": 224},
    {"type": "RandomHorizontalFlip"},
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]


def write(folder: Path, count: int, width: int, height: int) -> None:
    """Write JPEG files and their scores."""
    paths = paint(folder, count, width, height)
    rows = [f"{path.name},{(index + 0.5) / count:.4f}" for index, path in enumerate(paths)]
    (folder / "scores.csv").write_text("\n".join(["image,score", *rows, ""]), encoding="utf-8")


def stream_over(folder: Path, patches: int) -> QualityStream:
    """Return a stream of the one data set, all of it to train on."""
    data = ScoreFile(folder, "scores.csv", (0, 1), higher_is_better=True, fractions=(1, 0, 0))
    pipeline = build_pipeline(TRANSFORM, "train")
    return QualityStream([data], pipeline, pipeline, patches_per_image=patches, cache=False)


def epoch_of(stream: QualityStream, patches: int, batch: int, workers: int) -> Callable[[], int]:
    """Return a function that loads an epoch and returns its number of patches."""
    data = stream.dataset(stream.names[0], "train")
    order = None
    if stream.patches is not None:
        order = PatchOrder(data, patches, stream.patches.pool)
    samples = patches * len(data)

    def epoch() -> int:
        loader = make_loader(
            data, batch, train=True, num_workers=workers, samples=samples, sampler=order
        )
        return sum(len(parts[1]) for parts in loader)

    return epoch


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--patches", type=int, default=25)
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 768), help="width height")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), args.images, *args.size)

        def arm(patches: int) -> Callable[[], object]:
            """Return an epoch of a new stream, which has read nothing yet."""
            return lambda: epoch_of(
                stream_over(Path(name), patches), args.patches, args.batch, args.workers
            )()

        arms = {"once": arm(args.patches), "per patch": arm(1)}
        seconds = take_turns(arms, args.rounds, time.perf_counter)
    count = args.images * args.patches
    print(
        f"patches a second, {args.patches} of each of {args.images} images of {args.size[0]} x "
        f"{args.size[1]}, {args.workers} workers, {args.rounds} rounds: median, range"
    )
    for arm_name, found in seconds.items():
        print(f"{arm_name:>10}  {spread([count / value for value in found], 0)}")
    ratio = spread(pairs(seconds, "per patch", "once"), 1)
    print(f"     ratio  {ratio}")
    measured = (
        f"1024 x 768 JPEG, {args.workers} workers, nothing kept: reading an image once gives "
        f"{ratio} times as many patches a second as reading it for each"
    )
    print_row("patches", f"perf/patch_sampling.py --workers {args.workers}", measured)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
