"""What an experience of a long stream costs: ``python perf/many_experiences.py``.

A stream of 50 tiny data sets is learnt with all that a run writes. Of experiences 2, 25 and 50 the
CPU seconds, the bytes written and the resident memory are printed. Every model is tested on all 50
data sets, so evaluation costs the same for each; it is measured apart, with the predictions that it
stores. The rest (training, history, checkpoints, results) must not grow with what came before.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
warnings.filterwarnings("ignore")

import numpy as np
import torch
from PIL import Image

from cliqa.engine import experiment
from cliqa.engine.run import Run
from cliqa.engine.train import train
from cliqa.evaluation.records.predictions import prediction_path
from cliqa.training.strategy import Strategy
from cliqa.utils.cli import run_entry_point
from cliqa.visualization.run import draw_run
from perf.rounds import print_row

AROUND = 3
"""Experiences on both sides whose mean stands for one: results are not written after each."""


class Cost(NamedTuple):
    """What an experience has cost, without its evaluation.

    Attributes:
        cpu: CPU seconds of training, checkpoint, history and results.
        evaluation: CPU seconds of the evaluation.
        written: Bytes passed to the system, without the predictions and the evaluation's rows.
        resident: Bytes of memory in use at its end.
    """

    cpu: float
    evaluation: float
    written: int
    resident: int


def write_data(root: Path, count: int, images: int, side: int) -> list[dict[str, Any]]:
    """Write small data sets and return their sections of a config."""
    sections = []
    draw = np.random.default_rng(0)
    for number in range(count):
        folder = root / f"set_{number:03}"
        folder.mkdir(parents=True)
        lines = ["image,score"]
        for index in range(images):
            pixels = draw.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index}.png")
            lines.append(f"{index}.png,{draw.random():.4f}")
        (folder / "scores.csv").write_text("\n".join(lines) + "\n")
        sections.append(
            {
                "type": "ScoreFile",
                "root": folder.name,
                "labels": "scores.csv",
                "images": ".",
                "name": folder.name,
                "score_range": (0, 1),
                "higher_is_better": True,
                "fractions": (0.4, 0.1, 0.5),
            }
        )
    return sections


def config_of(root: Path, sections: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a config that learns the data sets one after the other."""
    tensors = [{"type": "ToTensor"}]
    return {
        "seed": 0,
        "num_workers": 0,
        "progress_seconds": 0,
        "figures": False,
        "scenario": {
            "type": "QualityStream",
            "dataset_root": str(root),
            "datasets": sections,
            "train_transform": tensors,
            "eval_transform": tensors,
        },
        "model": {
            "type": "QualityModel",
            "backbone": {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearScoreHead", "in_channels": 32},
        },
        "cl_strategy": {
            "type": "Naive",
            "train_mb_size": 4,
            "train_epochs": 2,
            "optimizer": {"type": "SGD", "lr": 0.01},
            "loss": {"type": "MSELoss"},
        },
        "loggers": [{"type": "CSVLogger"}],
        "evaluation": {"bootstrap": 0},
    }


def written() -> int:
    """Return how many bytes this process has passed to write calls so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def resident() -> int:
    """Return the bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def measure(config: dict[str, Any], folder: Path) -> list[Cost]:
    """Train the config and return what each experience has cost."""
    costs: list[Cost] = []
    evaluating = [0.0, 0.0]  # CPU seconds and bytes of the current experience
    lap = [time.process_time(), float(written())]
    evaluate, finish = experiment.evaluate_stream, Run.finish_step

    def timed(*args: Any, **options: Any) -> float:  # noqa: ANN401
        before = time.process_time()
        seconds = evaluate(*args, **options)
        evaluating[0] += time.process_time() - before
        return seconds

    def sampled(run: Run, strategy: Strategy, step: int, seconds: float, *, last: bool) -> None:
        before = time.process_time(), written()
        run.recording.store(step)
        evaluating[0] += time.process_time() - before[0]
        evaluating[1] += written() - before[1]
        rows = [row for row in run.evaluations if row["experience"] == step]
        evaluating[1] += sum(len(str(row)) for row in rows)
        finish(run, strategy, step, seconds, last=last)
        run._saving.wait()
        now = time.process_time(), float(written())
        costs.append(
            Cost(
                now[0] - lap[0] - evaluating[0],
                evaluating[0],
                int(now[1] - lap[1] - evaluating[1]),
                resident(),
            )
        )
        lap[:], evaluating[:] = now, (0.0, 0.0)

    experiment.evaluate_stream, Run.finish_step = timed, sampled  # type: ignore[assignment]
    try:
        train(config, config_file="many.py", work_dir=folder, device="cpu")
    finally:
        experiment.evaluate_stream, Run.finish_step = evaluate, finish  # type: ignore[method-assign]
    return costs


def around(costs: Sequence[Cost], place: int, read: Callable[[Cost], float]) -> float:
    """Return the mean of a cost over an experience, counted from 1, and its neighbours."""
    first = max(1, min(place - AROUND, len(costs) - 2 * AROUND))
    return statistics.fmean(read(cost) for cost in costs[first - 1 :][: 2 * AROUND + 1][1:])


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the costs of experiences and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiences", type=int, default=50)
    parser.add_argument("--images", type=int, default=30, help="of each data set")
    parser.add_argument("--size", type=int, default=24, help="the images' side")
    parser.add_argument("--figures", action="store_true", help="draw the figures, which takes long")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        sections = write_data(root / "data", args.experiences, args.images, args.size)
        costs = measure(config_of(root / "data", sections), root / "run")
        places = sorted({2, args.experiences // 2, args.experiences})
        for place in places:
            cpu, evaluation = (around(costs, place, read) for read in (_cpu, _evaluation))
            kilobytes = around(costs, place, lambda cost: cost.written) / 1024
            megabytes = costs[place - 1].resident / 2**20
            print(
                f"experience {place:3}: {cpu:.3f} CPU s, {kilobytes:.0f} KiB written, "
                f"{megabytes:.0f} MiB resident; its evaluation {evaluation:.3f} CPU s"
            )
        files = sum(path.is_file() for path in (root / "run").rglob("*"))
        predictions = prediction_path(root / "run", args.experiences - 1).stat().st_size / 1024
        print(f"{files} files; predictions {predictions:.0f} KiB each")
        if args.figures:
            started = time.process_time()
            draw_run(root / "run")
            print(f"the figures at the end: {time.process_time() - started:.1f} CPU s")
    first, last = places[0], places[-1]
    ratios = [
        around(costs, last, read) / around(costs, first, read)
        for read in (_cpu, lambda cost: cost.written)
    ]
    grown = (costs[-1].resident - costs[1].resident) / (len(costs) - 2) / 2**20
    print_row(
        f"an experience of a long stream, without its evaluation: number {last} against {first}",
        "python perf/many_experiences.py",
        f"CPU {ratios[0]:.2f} times, bytes written {ratios[1]:.2f} times, {grown:.2f} MiB of "
        f"memory an experience; {files} files in all",
    )


def _cpu(cost: Cost) -> float:
    return cost.cpu


def _evaluation(cost: Cost) -> float:
    return cost.evaluation


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
