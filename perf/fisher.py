"""What EWC costs: ``python perf/fisher.py``.

(1) The pass over the data after an experience: squared gradients of single samples, the Fisher
information, against squared gradients of whole batches, which Avalanche's EWC takes; with --slow
the same by `vmap` and by batches of one sample. (2) Training steps with the penalty in its online
mode, against plain fine-tuning and Avalanche's EWC. The network is a ResNet-18 on random images.
The arms take turns; what is compared is the process's CPU time, pair by pair.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch
from avalanche.training.plugins import EvaluationPlugin, EWCPlugin
from torch import nn

from cliqa.benchmarks.class_stream import ClassStream
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.models.build import build_model
from cliqa.training.importance.fisher import fisher_diagonal
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.regularization.ewc import EWC
from cliqa.training.supervised.naive import Naive
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.cli import run_entry_point
from perf.rounds import Seconds, pairs, print_row, spread, take_turns

CLASSES = 10
CPU = torch.device("cpu")
BATCHES = 2
"""Batches of which training steps are timed."""


def random_stream(samples: int, side: int) -> ClassStream:
    """Return a stream of one experience of random images."""
    random = torch.Generator().manual_seed(0)
    images = torch.randint(256, (samples, 3, side, side), generator=random, dtype=torch.uint8)
    classes = torch.randint(CLASSES, (samples,), generator=random).numpy()
    names = [f"class {k}" for k in range(CLASSES)]
    data = ClassDataset(images, classes, names, [str(k) for k in range(samples)])
    tensor = build_pipeline([{"type": "ToTensor"}], "images", quality=False)
    return ClassStream([data], [data.select(range(10))], ["random"], tensor, tensor)


def network() -> nn.Module:
    """Return a ResNet-18."""
    torch.manual_seed(0)
    return build_model(
        {
            "backbone": {"type": "ResNet", "depth": 18},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearClsHead", "num_classes": CLASSES, "in_channels": 512},
        }
    )


def passes(stream: ClassStream, batch: int) -> dict[str, Callable[[], Any]]:
    """Return the ways to measure importances over the stream's samples."""
    model = network()
    data = stream.train_stream[0].dataset.eval()
    loader = torch.utils.data.DataLoader(data, batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    plugin = EWCPlugin(1.0)
    loss = nn.CrossEntropyLoss()

    def of_batches() -> None:
        plugin.compute_importances(model, loss, optimizer, data, CPU, batch)

    def of_samples(method: str | None) -> None:
        batches = ((images, classes) for images, classes, _ in loader)
        fisher_diagonal(model, batches, method=method)

    def one_by_one() -> None:
        plugin.compute_importances(model, loss, optimizer, data, CPU, 1)

    return {
        "batches": of_batches,
        "samples": partial(of_samples, None),
        "samples, vmap": partial(of_samples, "vmap"),
        "batches of one": one_by_one,
    }


def steps_of(stream: ClassStream, batch: int, plugins: Sequence[Any] = ()) -> Callable[[], None]:
    """Return steps on an experience that is learnt already, so that a penalty is there.

    Args:
        stream: The stream.
        batch: Samples a batch.
        plugins: What is added to plain fine-tuning.
    """
    model = network()
    strategy: Any = Naive(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=batch,
        train_epochs=1,
        plugins=list(plugins),
        evaluator=EvaluationPlugin(loggers=[]),
    )
    strategy.configure(TrainingOptions(), Schedule(None))
    experience = stream.train_stream[0]
    strategy.train_step(0, [experience])
    loader = torch.utils.data.DataLoader(experience.dataset.train(), batch)
    batches = list(islice(loader, BATCHES))

    def steps() -> None:
        model.train()
        strategy.dataloader = batches
        strategy.training_epoch()

    return steps


def report(title: str, seconds: Seconds) -> dict[str, str]:
    """Print the arms' seconds, and return their ratios to the first one."""
    first = next(iter(seconds))
    ratios = {name: spread(pairs(seconds, name, first)) for name in seconds}
    print(title)
    for name, values in seconds.items():
        print(f"{name:>16}  {spread(values, 3)} s, to {first} {ratios[name]}")
    return ratios


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=256, help="images (256)")
    parser.add_argument("--batch", type=int, default=32, help="images a batch (32)")
    parser.add_argument("--side", type=int, default=64, help="their size in px (64)")
    parser.add_argument("--slow", action="store_true", help="vmap and batches of one sample too")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    stream = random_stream(args.samples, args.side)
    size = f"{args.samples} images of {args.side} px, batches of {args.batch}"
    ways = passes(stream, args.batch)
    chosen = {name: ways[name] for name in ways if args.slow or name in ("batches", "samples")}
    found = take_turns(chosen, args.rounds)
    passing = report(f"CPU seconds of a pass for importances, {size}", found)
    steps = {
        "Naive": steps_of(stream, args.batch),
        "EWC": steps_of(stream, args.batch, [EWC(1e-3, "online", n_samples=1)]),
        "Avalanche": steps_of(stream, args.batch, [EWCPlugin(1e-3, "online", 1.0)]),
    }
    training = report(f"CPU seconds of {BATCHES} steps", take_turns(steps, args.rounds))
    measured = (
        f"its importance pass over single samples takes {passing['samples']} times the CPU time of "
        f"Avalanche's over whole batches (ResNet-18, {size}); its training step "
        f"{training['EWC']} of plain fine-tuning, Avalanche's {training['Avalanche']}"
    )
    print_row("EWC", "perf/fisher.py", measured)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
