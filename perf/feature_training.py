"""What learning from features costs, and from images: ``python perf/feature_training.py``.

A linear classifier is trained on one bucket of features by (a) cliqa's strategy, whose loader takes
slices of one tensor, (b) Avalanche's own Naive over the same stream, the baseline, (c) a plain loop
over a DataLoader. (d) is cliqa's strategy on images, which are decoded and go through a frozen
ResNet-18 in every epoch; (e) puts them through it once and stores the features. Then a whole run is
measured: several buckets, each trained on and followed by an evaluation on the test sets of all.

The features of (a) to (c) are random, as many as a bucket of CLEAR-10 has and as long as
ResNet-50's. The images of (d) and (e) are painted, and fewer: their time is scaled to as many
samples. The arms take turns; what is compared is the process's CPU time, round by round.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.demo_data.clear import ClearData
from cliqa.inference.features import PREPROCESSING, get_pretrained_features
from cliqa.models.build import build_model
from cliqa.models.freezing import freeze_parts
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.supervised.naive import Naive
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.checkpoint import save_checkpoint
from cliqa.utils.cli import run_entry_point

CLASSES, BATCH = 11, 64
EPOCHS = 5
"""Epochs of an experience on features: what is done once an experience counts a fifth."""

PAINTED = {"classes": 4, "buckets": 1, "size": 256}
"""The images of (d) and (e): of one bucket, larger than what the network sees, as real ones are."""

NETWORK: dict[str, Any] = {
    "backbone": {"type": "ResNet", "depth": 18},
    "neck": {"type": "GlobalAveragePooling"},
}
HEAD = {"type": "LinearClsHead", "num_classes": PAINTED["classes"], "in_channels": 512}
BASELINE = "Avalanche's Naive"


@dataclass(frozen=True)
class Arm:
    """One of the things compared.

    Attributes:
        run: Does the work once.
        factor: By what its time is multiplied: one over the epochs, for instance.
    """

    run: Callable[[], object]
    factor: float = 1.0


def feature_stream(samples: int, dims: int, buckets: int) -> ClassStream:
    """Return a stream of random features, a third as many to test on as to train on."""
    random = torch.Generator().manual_seed(0)
    names = [f"class {k}" for k in range(CLASSES)]

    def draw(count: int) -> ClassDataset:
        features = torch.randn(count, dims, generator=random)
        classes = torch.randint(CLASSES, (count,), generator=random).numpy()
        return ClassDataset(features, classes, names, [str(k) for k in range(count)])

    train = [draw(samples) for _ in range(buckets)]
    test = [draw(max(1, samples // 3)) for _ in range(buckets)]
    return ClassStream(train, test, [f"bucket-{k + 1}" for k in range(buckets)], None, None)


def strategy_over(cls: type[Any], model: nn.Module, epochs: int) -> Any:  # noqa: ANN401
    """Return a strategy without metrics or loggers."""
    strategy = cls(
        model=model,
        optimizer=optimizer_of(model),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=BATCH,
        train_epochs=epochs,
        eval_mb_size=BATCH,
        evaluator=EvaluationPlugin(loggers=[]),
    )
    if cls is Naive:
        strategy.configure(TrainingOptions(), Schedule(None))
    return strategy


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """Return every arm's optimizer."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.SGD(trained, lr=0.01, momentum=0.9)


class ByStrategy:
    """Trains and evaluates by a strategy, cliqa's or Avalanche's."""

    def __init__(self, cls: type[Any], stream: ClassStream, dims: int) -> None:
        self.strategy = strategy_over(cls, nn.Linear(dims, CLASSES), EPOCHS)
        self.stream = stream

    def train(self, index: int = 0) -> None:
        """Train on one bucket."""
        experience = self.stream.train_stream[index]
        if isinstance(self.strategy, Naive):
            self.strategy.train_step(index, [experience])
        else:
            self.strategy.train(experience, eval_streams=[])

    def run(self) -> None:
        """Train on every bucket and evaluate on all of them after each."""
        for index in range(len(self.stream.names)):
            self.train(index)
            self.strategy.eval(self.stream.test_stream)


class ByHand:
    """Trains and evaluates by plain loops over PyTorch's DataLoader."""

    def __init__(self, stream: ClassStream, dims: int) -> None:
        self.model = nn.Linear(dims, CLASSES)
        self.optimizer = optimizer_of(self.model)
        loaders: dict[str, list[DataLoader[Any]]] = {"train": [], "test": []}
        for (_, split), data in stream.sources.items():
            if split in loaders:
                pairs = TensorDataset(torch.as_tensor(data.inputs), torch.as_tensor(data.targets))
                loaders[split].append(DataLoader(pairs, BATCH, shuffle=split == "train"))
        self.loaders = loaders

    def train(self, index: int = 0) -> None:
        """Train on one bucket."""
        for _ in range(EPOCHS):
            for features, classes in self.loaders["train"][index]:
                self.optimizer.zero_grad()
                nn.functional.cross_entropy(self.model(features), classes).backward()
                self.optimizer.step()

    def run(self) -> None:
        """Train on every bucket and evaluate on all of them after each."""
        for index in range(len(self.loaders["train"])):
            self.train(index)
            with torch.no_grad():
                for loader in self.loaders["test"]:
                    for features, classes in loader:
                        nn.functional.cross_entropy(self.model(features), classes)


def image_arms(folder: Path, count: int, samples: int) -> dict[str, Arm]:
    """Return an epoch over painted images, and the computation of their features.

    Args:
        folder: An empty folder.
        count: How many images are painted.
        samples: To how many samples the time is scaled.
    """
    root, weights = folder / "clear", folder / "weights.pth"
    per_class = max(1, count // PAINTED["classes"])
    ClearData(**PAINTED, images=per_class).write(root)
    model = build_model({**NETWORK, "head": HEAD})
    save_checkpoint(weights, dict(model.state_dict()))
    model.frozen = freeze_parts(model, ["backbone"])  # type: ignore[assignment]
    pipeline = build_pipeline(PREPROCESSING, "preprocessing", quality=False)
    experience = CLEAR(root, pipeline, pipeline).train_stream[0]
    strategy = strategy_over(Naive, model, 1)

    def compute() -> None:
        get_pretrained_features(
            root, "frozen", weights, NETWORK, device="cpu", batch_size=BATCH, overwrite=True
        )

    factor = samples / len(experience.dataset)
    return {
        "images, frozen ResNet-18": Arm(lambda: strategy.train_step(0, [experience]), factor),
        "their features, once": Arm(compute, factor),
    }


def measure(arms: dict[str, Arm], rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of CPU time of each arm, one number a round."""
    spent: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, arm in arms.items():
            started = time.process_time()
            arm.run()
            if turn:  # the first round fills caches
                spent[name].append(1000 * arm.factor * (time.process_time() - started))
    return spent


def show(title: str, spent: dict[str, list[float]]) -> None:
    """Print a table: medians, and ratios to the baseline in the same round."""
    print(f"\n{title}\n{'':26}{'median ms':>12}{'ratio':>11}   min .. max of the ratio")
    for name, values in spent.items():
        ratios = [own / base for own, base in zip(values, spent[BASELINE], strict=True)]
        print(
            f"{name:26}{statistics.median(values):12.1f}{statistics.median(ratios):11.4g}"
            f"   {min(ratios):.4g} .. {max(ratios):.4g}"
        )


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=3000, help="features a bucket (3000)")
    parser.add_argument("--dims", type=int, default=2048, help="their length (2048)")
    parser.add_argument("--buckets", type=int, default=3, help="buckets of the whole run (3)")
    parser.add_argument("--images", type=int, default=96, help="images to paint (96); 0 for none")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    args = parse_args(argv)
    logging.disable(logging.INFO)  # what the features' computation says in every round
    torch.set_num_threads(args.threads)
    stream = feature_stream(args.samples, args.dims, args.buckets)
    ways: dict[str, ByStrategy | ByHand] = {
        "cliqa": ByStrategy(Naive, stream, args.dims),
        BASELINE: ByStrategy(AvalancheNaive, stream, args.dims),
        "DataLoader by hand": ByHand(stream, args.dims),
    }
    arms = {name: Arm(way.train, 1 / EPOCHS) for name, way in ways.items()}
    with tempfile.TemporaryDirectory() as folder:
        if args.images:
            arms |= image_arms(Path(folder), args.images, args.samples)
        epoch = measure(arms, args.rounds)
    size = f"{args.samples} samples, features of {args.dims}, batches of {BATCH}"
    spread = f"CPU time, {args.rounds} rounds, {args.threads} thread(s)"
    scaled = f" ({args.images} images, scaled)" if args.images else ""
    show(f"An epoch of {size}{scaled}: {spread}", epoch)
    run = measure({name: Arm(way.run) for name, way in ways.items()}, args.rounds)
    show(f"A run of {args.buckets} buckets, {EPOCHS} epochs each, evaluated after each", run)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
