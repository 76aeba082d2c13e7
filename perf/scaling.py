"""How much sooner several processes are done: ``python perf/scaling.py``.

The demo's network is trained on random images in memory, by one process and by several with one
thread each, which take turns. Strong scaling: the same batch, shared. Weak scaling: a batch that
grows with the processes, over as many steps. The limit of the machine is what as many processes
do that train apart, each on its own. What is compared is wall time after an epoch that fills
caches. More processes than cores say nothing of more cores.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")
os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

from cliqa.training.supervised.naive import Naive
from cliqa.utils.cli import run_entry_point
from cliqa.utils.processes.group import wait_for_all
from perf.processes import free_port, start_joined, variables
from perf.rounds import ROUNDS, print_row, spread
from perf.training_overhead import by_strategy, stream_of

IMAGES = 256


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2, help="default: 2")
    parser.add_argument("--batch", type=int, default=32, help="of one process (default: 32)")
    parser.add_argument("--side", type=int, default=64, help="of images, in pixels (default: 64)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default: {ROUNDS}")
    return parser.parse_args(argv)


def seconds_of(processes: int, batch: int, images: int, side: int, apart: bool = False) -> float:
    """Return the wall seconds of an epoch over so many images, by so many processes.

    `apart` they share nothing: each goes through all images.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "seconds"
        port, count = free_port(), 1 if apart else processes
        children = [
            start_joined(
                variables(0 if apart else rank, count, port),
                partial(_epoch, batch, images, side, None if rank else told),
            )
            for rank in range(processes)
        ]
        statuses = [os.waitpid(child, 0)[1] for child in children]
        if any(statuses):
            raise RuntimeError("a process has failed: see above")
        return float(json.loads(told.read_text()))


def _epoch(batch: int, images: int, side: int, told: Path | None) -> None:
    """Train in one of the processes; one of them tells how long it took."""
    train = by_strategy(Naive, stream_of(images, side), batch, "GN")
    train()  # which fills caches
    wait_for_all()
    started = time.perf_counter()
    train()
    wait_for_all()
    if told is not None:
        told.write_text(json.dumps(time.perf_counter() - started))
    train()  # the others are to have company to their end


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the ratios."""
    args = parse_args(argv)
    count = args.processes
    arms = {
        "one": (1, args.batch, IMAGES),
        "strong": (count, args.batch, IMAGES),
        "weak": (count, args.batch * count, IMAGES * count),
        "apart": (count, args.batch, IMAGES),
    }
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for turn in range(args.rounds + 1):
        for name, arm in arms.items():
            found = seconds_of(*arm, args.side, name == "apart")
            seconds[name] += [found] if turn else []
    strong = [a / b for a, b in zip(seconds["one"], seconds["strong"], strict=True)]
    weak = [count * a / b for a, b in zip(seconds["one"], seconds["weak"], strict=True)]
    limit = [count * a / b for a, b in zip(seconds["one"], seconds["apart"], strict=True)]
    for name, values in seconds.items():
        print(f"{name:>7}: {spread(values)} s")
    print_row(
        f"{count} processes",
        f"perf/scaling.py --processes {count} --batch {args.batch} --side {args.side}",
        f"an epoch by {count} processes of one thread, on {len(os.sched_getaffinity(0))} cores: "
        f"{spread(strong)} times as fast as one with the same batch of {args.batch}, and "
        f"{spread(weak)} times the images a second with {args.batch * count} in a batch; "
        f"{count} processes that train apart do {spread(limit)} times as much as one, which is the "
        f"machine's limit (the demo's ResNet-18, images of {args.side} px, Gloo)",
    )


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
