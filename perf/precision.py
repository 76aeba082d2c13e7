"""What bfloat16 brings on this processor: ``python perf/precision.py config/x.py``.

Training steps and evaluations of a config's model on random images, in float32 and in bfloat16. The
arms take turns; what is compared is the process's CPU time, pair by pair.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import torch

from cliqa.config.load import load_config
from cliqa.models.build import build_model
from cliqa.training.loop.precision import Precision
from cliqa.utils.arguments import add_arguments
from cliqa.utils.cli import run_entry_point

ARMS: dict[str, bool | str] = {"float32": False, "bfloat16": "bfloat16"}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser, "config", "--cfg-options")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model = build_model(load_config(args.config, args.cfg_options)["model"])
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    images, scores = torch.randn(args.batch, 3, args.size, args.size), torch.rand(args.batch)
    flags = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in cpu_flags()]
    print(
        f"{args.config}, batch {args.batch}, {args.size} px, {args.threads} thread(s), the CPU has "
        f"{' and '.join(flags) or 'no bfloat16 instructions'}"
    )

    def step(precision: Precision) -> None:
        model.train()
        optimizer.zero_grad()
        with precision.autocast():
            output = model(images)
        (output.float() - scores).abs().mean().backward()
        optimizer.step()

    def look(precision: Precision) -> None:
        model.eval()
        with torch.no_grad(), precision.autocast():
            model(images)

    for name, work in (("a training step", step), ("an evaluation", look)):
        report(name, measure(work, args.rounds))


def measure(work: Callable[[Precision], None], rounds: int) -> dict[str, list[float]]:
    """Return the CPU seconds of every round of each arm; a first round warms up."""
    arms = {name: Precision(torch.device("cpu"), kind) for name, kind in ARMS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(rounds + 1):
        for name, precision in arms.items():
            started = time.process_time()
            work(precision)
            if turn:
                seconds[name].append(time.process_time() - started)
    return seconds


def report(what: str, seconds: dict[str, list[float]]) -> None:
    """Print the medians and the ratio of paired rounds."""
    pairs = [a / b for a, b in zip(seconds["float32"], seconds["bfloat16"], strict=True)]
    medians = ", ".join(f"{k} {1000 * statistics.median(v):.0f} ms" for k, v in seconds.items())
    print(
        f"{what}: {medians}; float32 takes {statistics.median(pairs):.2f} times as long "
        f"({min(pairs):.2f} .. {max(pairs):.2f})"
    )


def cpu_flags() -> set[str]:
    """Return what the processor can do, as Linux tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
