"""What the training loop costs over a hand-written one: ``python perf/training_overhead.py``.

One epoch of the config's first data set is trained with the same model, data, transforms, batches
and optimizer by (a) a plain PyTorch loop, (b) cliqa's strategy, (c) Avalanche's own Naive. The arms
take turns; what is compared is the process's CPU time, pair by pair.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.supervised import Naive as AvalancheNaive
from torch.utils.data import DataLoader

from cliqa.config.load import load_config
from cliqa.engine.build import Parts, build
from cliqa.utils.arguments import add_arguments
from cliqa.utils.cli import run_entry_point
from perf.rounds import pairs, print_row, spread, take_turns

CPU = torch.device("cpu")


def by_hand(parts: Parts) -> Callable[[], None]:
    """Return an epoch of a plain loop."""
    stream, strategy = parts.benchmark, parts.strategy
    data = stream.sources[stream.names[0], "train"].with_transform(stream.train_transform)
    loader = DataLoader(data, strategy.train_mb_size, shuffle=True)

    def epoch() -> None:
        parts.model.train()
        for images, scores in loader:
            strategy.optimizer.zero_grad()
            loss = strategy._criterion(parts.model(images), scores)
            loss.backward()
            strategy.optimizer.step()

    return epoch


def by_cliqa(parts: Parts) -> Callable[[], None]:
    """Return an epoch of the strategy that the config builds."""
    experience = parts.benchmark.train_stream[0]
    parts.strategy.train_epochs = 1
    return lambda: parts.strategy.train_step(0, [experience])


def by_avalanche(parts: Parts) -> Callable[[], None]:
    """Return an epoch of Avalanche's own Naive, without metrics or loggers."""
    strategy = AvalancheNaive(
        model=parts.model,
        optimizer=parts.strategy.optimizer,
        criterion=parts.strategy._criterion,
        train_mb_size=parts.strategy.train_mb_size,
        train_epochs=1,
        evaluator=EvaluationPlugin(loggers=[]),
    )
    experience = parts.benchmark.train_stream[0]
    return lambda: strategy.train(experience, eval_streams=[])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", default="config/demo.py")
    add_arguments(parser, "--cfg-options")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    config = load_config(args.config, args.cfg_options)
    config["cl_strategy"] = {
        **{k: v for k, v in config["cl_strategy"].items() if k not in ("mem_size", "plugins")},
        "type": "Naive",
    }
    arms = {
        name: make(build({**config, "seed": 0}, CPU))
        for name, make in (("hand", by_hand), ("cliqa", by_cliqa), ("avalanche", by_avalanche))
    }
    seconds = take_turns(arms, args.rounds)
    print(f"CPU seconds an epoch, {args.rounds} rounds, {args.threads} threads: median, range")
    for name, values in seconds.items():
        print(f"{name:>10}  {spread(values)}, to hand {spread(pairs(seconds, name, 'hand'), 3)}")
    ours, theirs = (spread(pairs(seconds, name, "hand")) for name in ("cliqa", "avalanche"))
    measured = f"{ours} times the CPU time of a hand-written loop, Avalanche's own Naive {theirs}"
    print_row("the training loop", f"perf/training_overhead.py {args.config}", measured)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
