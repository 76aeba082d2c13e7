"""What the labels and the intervals of a large data set cost: ``python perf/large_streams.py``.

A label file of 255,000 rows, as many as AVA has images, is checked, read and searched for images
that two data sets share, as a run does before it trains. Then the bootstrap intervals of 20,000 and
of 200,000 predictions: against scipy on every resample, which is the definition, and against the
bare draw of the resamples, which is the least that any way of doing it takes.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image
from scipy import stats

from cliqa.evaluation.bootstrap import bootstrap_samples, resample_counts
from cliqa.utils.cli import run_entry_point
from perf.rounds import pairs, print_row, spread, take_turns

AVA = 255_000
"""Images of the largest data set of quality labels."""

SETTINGS = ((20_000, 50), (200_000, 10))
"""Images and resamples of a round."""

COMMAND = "python perf/large_streams.py"

_LABELS = """
import resource, sys, time
from pathlib import Path
from cliqa.benchmarks.data_check import check_data
from cliqa.datasets.quality.score_file import ScoreFile
root = Path(sys.argv[1])
section = dict(labels="scores.csv", images="images", score_range=(1, 10), higher_is_better=True)
used = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
empty, laps = used(), [time.process_time()]
def lap(): laps.append(time.process_time())
check_data({"scenario": {"dataset_root": str(root), "datasets": [
    {"type": "ScoreFile", "root": "ava", **section}]}})
lap()
data = ScoreFile(root=root / "ava", name="ava", **section)
lap()
other = ScoreFile(root=root / "eva", name="eva", **section)
from cliqa.datasets.sharing import find_shared
find_shared([data, other])
lap()
print(*(b - a for a, b in zip(laps, laps[1:])), used() - empty)
"""


def write_labels(root: Path, rows: int) -> None:
    """Write a large label file with its images, and a small one; no two files are equally large."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    for name, count in (("ava", rows), ("eva", 100)):
        folder = root / name / "images"
        folder.mkdir(parents=True)
        for index in range(count):
            more = index if name == "ava" else rows + index
            with (folder / f"{name}_{index}.png").open("wb") as file:
                file.write(content.getvalue())
                file.flush()
                os.truncate(file.fileno(), len(content.getvalue()) + more)  # it takes no room
        scores = np.random.default_rng(0).uniform(1, 10, count)
        lines = [f"{name}_{index}.png,{score:.4f}" for index, score in enumerate(scores)]
        (root / name / "scores.csv").write_text("\n".join(["image,score", *lines]) + "\n")


def labels(rows: int, rounds: int) -> None:
    """Measure reading labels, and print the row."""
    with tempfile.TemporaryDirectory() as folder:
        write_labels(Path(folder), rows)
        found: list[list[float]] = []
        for turn in range(rounds + 1):
            command = [sys.executable, "-W", "ignore", "-c", _LABELS, folder]
            line = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            if turn:
                found.append([float(value) for value in line.split()])
    check, read, search, memory = (list(values) for values in zip(*found, strict=True))
    print(f"check_data {spread(check)}, reading {spread(read)}, sharing {spread(search)} CPU s")
    whole = [sum(parts[:3]) for parts in found]
    print_row(
        f"{rows:,} labels: checked, read, and searched for shared images",
        COMMAND,
        f"{spread(whole)} CPU s, {spread(memory, 0)} MiB of memory over the imports'",
    )


def by_scipy(x: np.ndarray, y: np.ndarray, resamples: int) -> Callable[[], object]:
    """Return the definition: scipy on every resample."""

    def run() -> None:
        for counts in resample_counts(x.size, resamples, 0):
            for row in counts:
                drawn = np.repeat(np.arange(x.size), row.astype(int))
                stats.spearmanr(x[drawn], y[drawn])
                stats.pearsonr(x[drawn], y[drawn])

    return run


def with_threads(threads: int, run: Callable[[], object]) -> Callable[[], object]:
    """Return a call under another number of threads."""

    def call() -> None:
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = str(threads)
        run()
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before

    return call


def intervals(images: int, resamples: int, rounds: int) -> None:
    """Measure a bootstrap, and print the rows."""
    draw = np.random.default_rng(0)
    y = draw.normal(size=images).round(2)  # with ties, as ratings have
    x = y + draw.normal(size=images)

    def run() -> object:
        return bootstrap_samples(x, y, resamples=resamples)

    arms = {
        "scipy": by_scipy(x, y, resamples),
        "draw": lambda: [counts.sum() for counts in resample_counts(images, resamples, 0)],
        "cliqa": with_threads(1, run),
    }
    seconds = take_turns(arms, rounds)
    each = [1000 * second / resamples for second in seconds["cliqa"]]
    share = pairs(seconds, "draw", "cliqa")
    walls = take_turns(
        {"one": with_threads(1, run), "two": with_threads(2, run)}, rounds, time.perf_counter
    )
    print_row(
        f"1000 bootstrap resamples of {images:,} images: SRCC, PLCC and RMSE",
        COMMAND,
        f"{spread(each)} CPU s; {spread(pairs(seconds, 'scipy', 'cliqa'), 1)} times as fast as "
        f"scipy on every resample; the bare draw is {spread(share)} of it; two threads: "
        f"{spread(pairs(walls, 'one', 'two'))} times as fast (wall)",
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=AVA)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args(argv)
    labels(args.rows, args.rounds)
    for images, resamples in SETTINGS:
        intervals(images, resamples, args.rounds)


if __name__ == "__main__":
    sys.exit(run_entry_point(main))
