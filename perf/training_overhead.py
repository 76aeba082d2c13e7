"""What the training loop costs over hand-written ones: ``python perf/training_overhead.py``.

The demo's network is trained on random images that lie in memory as tensors, so that no decoding
hides the loop: fine-tuning by (a) a plain PyTorch loop, (b) cliqa's strategy, (c) Avalanche's own
Naive; replay by (a) a plain loop that joins a batch of remembered samples to every batch, (b)
cliqa's Replay; and DER++ by (a) a plain loop with a pass for each memory batch, (b) cliqa's. The
arms take turns; what is compared is the process's CPU time, pair by pair.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive as AvalancheNaive
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cliqa.benchmarks.class_stream import ClassStream
from cliqa.datasets.classes.class_dataset import ClassDataset
from cliqa.models.build import build_model
from cliqa.training.loop.options import TrainingOptions
from cliqa.training.loop.schedule import Schedule
from cliqa.training.plugins.rehearsal.der import DER
from cliqa.training.plugins.rehearsal.replay import Replay
from cliqa.training.supervised.naive import Naive
from cliqa.utils.cli import run_entry_point
from perf.rounds import pairs, print_row, spread, take_turns

CLASSES = 10
MEMORY = 64
"""Samples that are remembered."""


def network(norm: str) -> nn.Module:
    """Return the demo's ResNet-18 of width 16 for classes, with the same weights every time."""
    torch.manual_seed(0)
    normalise = {"type": "GN", "num_groups": 8} if norm == "GN" else {"type": "BN"}
    backbone = {"type": "ResNet", "depth": 18, "base_channels": 16, "stem_channels": 16}
    head = {"type": "LinearClsHead", "num_classes": CLASSES, "in_channels": 128}
    neck = {"type": "GlobalAveragePooling"}
    return build_model(
        {"backbone": {**backbone, "norm_cfg": normalise}, "neck": neck, "head": head}
    )


def stream_of(samples: int, side: int) -> ClassStream:
    """Return a stream of two experiences of random images, in memory as float tensors."""
    random = torch.Generator().manual_seed(0)
    names = [f"class {k}" for k in range(CLASSES)]

    def draw() -> ClassDataset:
        images = torch.rand(samples, 3, side, side, generator=random)
        classes = torch.randint(CLASSES, (samples,), generator=random).numpy()
        return ClassDataset(images, classes, names, [str(k) for k in range(samples)])

    train = [draw(), draw()]
    tests = [data.select(range(10)) for data in train]
    return ClassStream(train, tests, ["a", "b"], as_it_is, as_it_is)


def as_it_is(image: Tensor) -> Tensor:
    """Return an image; a transform that does nothing."""
    return image


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    """Return every arm's optimizer."""
    return torch.optim.AdamW(model.parameters(), lr=1e-4)


class ByHand:
    """Epochs of plain loops over tensors.

    Args:
        stream: The second experience is trained on, and samples of the first are remembered.
        batch: Samples a batch.
        norm: The network's normalisation.
    """

    def __init__(self, stream: ClassStream, batch: int, norm: str) -> None:
        self.model = network(norm)
        self.optimizer = optimizer_of(self.model)
        self.batch = batch
        sources = [stream.sources[name, "train"] for name in stream.names]
        earlier, new = (
            (torch.as_tensor(d.inputs), torch.as_tensor(d.targets).long()) for d in sources
        )
        self.loader = DataLoader(TensorDataset(*new), batch, shuffle=True)
        stored = torch.randn(MEMORY, CLASSES)  # outputs of DER++
        self.memory = TensorDataset(earlier[0][:MEMORY], earlier[1][:MEMORY], stored)

    def remembered(self) -> Iterator[list[Tensor]]:
        """Yield memory batches without end."""
        while True:
            yield from DataLoader(self.memory, self.batch, shuffle=True)

    def step(self, loss: Tensor) -> None:
        """Take a step."""
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def fine_tune(self) -> None:
        """Train on new samples alone."""
        self.model.train()
        for images, classes in self.loader:
            self.step(nn.functional.cross_entropy(self.model(images), classes))

    def replay(self) -> None:
        """Train on batches of new and remembered samples."""
        self.model.train()
        for (images, classes), (old, labels, _) in zip(
            self.loader, self.remembered(), strict=False
        ):
            outputs = self.model(torch.cat([images, old]))
            self.step(nn.functional.cross_entropy(outputs, torch.cat([classes, labels])))

    def dark(self) -> None:
        """Train by DER++, with a pass for each batch as in the paper's code."""
        self.model.train()
        memory = self.remembered()
        for images, classes in self.loader:
            loss = nn.functional.cross_entropy(self.model(images), classes)
            (first, _, stored), (second, labels, _) = next(memory), next(memory)
            loss = loss + 0.1 * nn.functional.mse_loss(self.model(first), stored)
            self.step(loss + 0.5 * nn.functional.cross_entropy(self.model(second), labels))


def by_strategy(
    cls: type[Any], stream: ClassStream, batch: int, norm: str, plugins: Sequence[Any] = ()
) -> Callable[[], None]:
    """Return an epoch of a strategy on the second experience, which has learnt the first."""
    model = network(norm)
    strategy: Any = cls(
        model=model,
        optimizer=optimizer_of(model),
        criterion=nn.CrossEntropyLoss(),
        train_mb_size=batch,
        train_epochs=1,
        plugins=list(plugins),
        evaluator=EvaluationPlugin(loggers=[]),
    )
    if cls is AvalancheNaive:
        return lambda: strategy.train(stream.train_stream[1], eval_streams=[])
    strategy.configure(TrainingOptions(), Schedule(None))
    strategy.train_step(0, [stream.train_stream[0]])
    return lambda: strategy.train_step(1, [stream.train_stream[1]])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--samples", type=int, default=256, help="images of an epoch (256)")
    parser.add_argument("--batch", type=int, default=8, help="images a batch (8)")
    parser.add_argument("--side", type=int, default=64, help="their size in px (64)")
    parser.add_argument("--norm", choices=["GN", "BN"], default="GN", help="normalisation (GN)")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    stream, of = stream_of(args.samples, args.side), (args.batch, args.norm)
    hand = ByHand(stream, *of)
    memory = Replay(MEMORY), DER(MEMORY)
    arms = {
        "hand": hand.fine_tune,
        "cliqa": by_strategy(Naive, stream, *of),
        "Avalanche": by_strategy(AvalancheNaive, stream, *of),
        "replay by hand": hand.replay,
        "Replay": by_strategy(Naive, stream, *of, [memory[0]]),
        "DER++ by hand": hand.dark,
        "DER++": by_strategy(Naive, stream, *of, [memory[1]]),
    }
    seconds = take_turns(arms, args.rounds)
    size = f"{args.samples} images of {args.side} px, batches of {args.batch}, {args.norm}"
    print(f"CPU seconds an epoch of {size}, {args.threads} thread(s): median, range")
    for name, values in seconds.items():
        print(f"{name:>16}  {spread(values, 3)}, to hand {spread(pairs(seconds, name, 'hand'), 3)}")

    def ratio(slower: str, faster: str) -> str:
        return spread(pairs(seconds, slower, faster))

    measured = (
        f"{ratio('cliqa', 'hand')} times the CPU time of a hand-written loop, Avalanche's own "
        f"Naive {ratio('Avalanche', 'hand')}; Replay {ratio('Replay', 'replay by hand')} times "
        f"that of replay by hand; DER++ {ratio('DER++', 'DER++ by hand')} times that of DER++ by "
        f"hand with a pass a batch, and {ratio('DER++', 'Replay')} times that of Replay ({size})"
    )
    options = "" if args.norm == "GN" else " --norm BN"
    print_row("the training loop", f"perf/training_overhead.py{options}", measured)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
