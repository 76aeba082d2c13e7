"""How many training images a second of CPU time: ``python perf/image_pipeline.py``.

The same generated JPEGs (1024 x 768) are resized to 384, cropped to 224, flipped, normalised and
collated in batches of 32 (a) by the original recipe, Pillow and torchvision's first transforms,
(b) by the training loader of a stream, with nothing kept, in the epoch that fills the cache, and in
later ones, in memory and on the disk. The arms take turns in one thread.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.training.loop.loaders.image_loader import make_loader
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.cli import run_entry_point
from perf.evaluation_crops import MEAN, STD
from perf.pictures import paint
from perf.rounds import ROUNDS, Seconds, pairs, print_row, spread, take_turns

BATCH = 32
STEPS: list[dict[str, Any]] = [
    {"type": "Resize", "size": 384},
    {"type": "RandomCrop", "size": 224},
    {"type": "RandomHorizontalFlip"},
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": MEAN, "std": STD},
]


class Recipe(Dataset[tuple[torch.Tensor, float]]):
    """Images as tutorials load them."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files
        self.transform = transforms.Compose(
            [
                transforms.Resize(384),
                transforms.RandomCrop(224),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("RGB")), 0.5


def loader_of(folder: Path, cache: Any) -> Any:  # noqa: ANN401  a value of `scenario.cache`
    """Return the training loader of a stream over a folder's images."""
    data = ScoreFile(
        root=folder, labels="scores.csv", images=".", score_range=(0, 1), higher_is_better=True
    )
    steps = build_pipeline(STEPS, "train")
    stream = QualityStream([data], steps, steps, cache=cache)
    return make_loader(stream.train_stream[0].dataset, BATCH, train=True)


def epoch(loader: Any) -> int:  # noqa: ANN401  either kind of loader
    """Load every batch; return the number of images."""
    return sum(len(images) for images, *_ in loader)


def first_epoch(folder: Path, cache: str) -> Callable[[], int]:
    """Return an epoch that finds nothing in the cache."""

    def run() -> int:
        with tempfile.TemporaryDirectory() as fresh:
            os.environ["CLIQA_CACHE"] = fresh
            return epoch(loader_of(folder, cache))

    return run


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as cache:
        folder = Path(name)
        files = paint(folder, args.images)
        rows = [f"{path.name},0.5,train" for path in files]
        text = "\n".join(["image,score,split", *rows, ""])
        (folder / "scores.csv").write_text(text)
        arms: dict[str, Callable[[], object]] = {}
        recipe = DataLoader(Recipe(files), BATCH, shuffle=True)
        arms["the original recipe"] = lambda: epoch(recipe)
        plain = loader_of(folder, False)
        arms["nothing kept"] = lambda: epoch(plain)
        os.environ["CLIQA_CACHE"] = cache
        memory, disk = loader_of(folder, "ram"), loader_of(folder, "disk")
        epoch(disk)
        arms["memory, later epochs"] = lambda: epoch(memory)
        arms["memory, first epoch"] = first_epoch(folder, "ram")
        arms["disk, first epoch"] = first_epoch(folder, "disk")
        os.environ["CLIQA_CACHE"] = cache
        arms["disk, later epochs"] = lambda: epoch(disk)
        report(take_turns(arms, args.rounds), args.images)


def report(seconds: Seconds, images: int) -> None:
    """Print images a second and the ratios."""
    base = "the original recipe"
    print("images a second of CPU time, and times the original recipe: median, range")
    for name, values in seconds.items():
        rates = [images / value for value in values]
        print(f"{name:>22}  {spread(rates, 0)}  {spread(pairs(seconds, base, name))}")
    ratios = {name: spread(pairs(seconds, base, name), 1) for name in seconds if name != base}
    print_row(
        "reading training images",
        "perf/image_pipeline.py",
        "times as many images a second of CPU time as Pillow and torchvision's first transforms: "
        + "; ".join(f"{name} {ratio}" for name, ratio in ratios.items()),
    )


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
