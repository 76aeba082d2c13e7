"""What an epoch costs on features, on images, and by hand: ``python perf/feature_training.py``.

A linear classifier is trained over one bucket of (a) features through cliqa's strategy, which takes
slices of one tensor, (b) the same through Avalanche's own Naive, the baseline, (c) the same through
a plain loop over a DataLoader, (d) images through cliqa's strategy and a frozen network, which is
what precomputed features save. Features are random, of CLEAR-10's size by default; images are
painted, fewer and small, and the time of (d) is scaled to as many samples. The arms take turns.
"""

from __future__ import annotations

import argparse
import statistics
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
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive as AvalancheNaive
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from cliqa.benchmarks.class_stream import ClassStream
from cliqa.benchmarks.clear import CLEAR
from cliqa.datasets.class_dataset import ClassDataset
from cliqa.datasets.clear.generated import ClearData
from cliqa.models.build import build_model
from cliqa.training.options import TrainingOptions
from cliqa.training.schedule import Schedule
from cliqa.training.supervised.naive import Naive
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.cli import run_entry_point

CLASSES = 11
BATCH = 64
EPOCHS = 5
"""Epochs of an experience: what is done once an experience counts a fifth."""
SIDE = 224
BASELINE = "avalanche"

PIPELINE: list[dict[str, Any]] = [
    {"type": "Resize", "size": SIDE},
    {"type": "CenterCrop", "size": SIDE},
    {"type": "ToTensor"},
]


def feature_stream(samples: int, dims: int) -> ClassStream:
    """Return a stream of one bucket of random features."""
    random = torch.Generator().manual_seed(0)
    features = torch.randn(samples, dims, generator=random)
    classes = torch.randint(CLASSES, (samples,), generator=random).numpy()
    names = [f"class {k}" for k in range(CLASSES)]
    data = ClassDataset(features, classes, names, [str(k) for k in range(samples)])
    return ClassStream([data], [data.select(range(10))], ["bucket-1"], None, None)


def strategy_over(cls: type[Any], model: nn.Module) -> Any:  # noqa: ANN401
    """Return a strategy without metrics or loggers."""
    trained = [p for p in model.parameters() if p.requires_grad]
    strategy = cls(
        model=model,
        optimizer=torch.optim.SGD(trained, lr=0.01, momentum=0.9),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=BATCH,
        train_epochs=EPOCHS,
        evaluator=EvaluationPlugin(loggers=[]),
    )
    if cls is Naive:
        strategy.configure(TrainingOptions(), Schedule(None))
    return strategy


def by_cliqa(stream: ClassStream, model: nn.Module) -> Callable[[], None]:
    """Return epochs of cliqa's strategy."""
    strategy = strategy_over(Naive, model)
    return lambda: strategy.train_step(0, [stream.train_stream[0]])


def by_avalanche(stream: ClassStream, dims: int) -> Callable[[], None]:
    """Return epochs of Avalanche's own Naive."""
    strategy = strategy_over(AvalancheNaive, nn.Linear(dims, CLASSES))
    return lambda: strategy.train(stream.train_stream[0], eval_streams=[])


def by_hand(stream: ClassStream, dims: int) -> Callable[[], None]:
    """Return epochs of a plain loop."""
    model = nn.Linear(dims, CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    data = stream.sources["bucket-1", "train"]
    tensors = TensorDataset(torch.as_tensor(data.inputs), torch.as_tensor(data.targets))
    loader = DataLoader(tensors, BATCH, shuffle=True)

    def epochs() -> None:
        for _ in range(EPOCHS):
            for features, classes in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(features), classes).backward()
                optimizer.step()

    return epochs


def by_images(root: Path) -> tuple[Callable[[], None], int]:
    """Return epochs over images through a frozen ResNet-18, and the number of images."""
    ClearData(classes=4, buckets=1, images=8, size=96).write(root)
    pipeline = build_pipeline(PIPELINE, "images", quality=False)
    stream = CLEAR(root, pipeline, pipeline)
    model = build_model(
        {
            "backbone": {"type": "ResNet", "depth": 18},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearClsHead", "num_classes": 4, "in_channels": 512},
        }
    )
    model.get_submodule("backbone").requires_grad_(False)
    return by_cliqa(stream, model), len(stream.train_stream[0].dataset)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=3000, help="feature vectors (3000)")
    parser.add_argument("--dims", type=int, default=2048, help="their length (2048)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    stream = feature_stream(args.samples, args.dims)
    with tempfile.TemporaryDirectory() as folder:
        images, count = by_images(Path(folder) / "clear")
        arms: dict[str, tuple[Callable[[], None], float]] = {
            "cliqa": (by_cliqa(stream, nn.Linear(args.dims, CLASSES)), 1.0),
            BASELINE: (by_avalanche(stream, args.dims), 1.0),
            "by hand": (by_hand(stream, args.dims), 1.0),
            "images": (images, args.samples / count),
        }
        seconds: dict[str, list[float]] = {name: [] for name in arms}
        for turn in range(args.rounds + 1):
            for name, (epochs, factor) in arms.items():
                started = time.process_time()
                epochs()
                if turn:  # the first round fills caches
                    used = time.process_time() - started
                    seconds[name].append(factor * used / EPOCHS)
    print(
        f"CPU seconds an epoch of {args.samples} samples ({args.dims} numbers each; images: "
        f"{count} of {SIDE} px, ResNet-18, scaled), {args.rounds} rounds, {args.threads} thread(s)"
    )
    for name, values in seconds.items():
        pairs = [a / b for a, b in zip(values, seconds[BASELINE], strict=True)]
        print(
            f"{name:>10}  {statistics.median(values):8.3f} s  ratio to {BASELINE}'s Naive "
            f"{statistics.median(pairs):8.3f} ({min(pairs):.3f} .. {max(pairs):.3f})"
        )


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
